-- `connector:handle`: signatures, tokens, and what it refuses.
local hmac = require "spec.support.hmac"
local openssl = require "spec.support.openssl"
local raising = require "spec.support.raising"
local sendapi = require "sendapi"
local support = require "spec.support.connector"

local TOKEN, SIGNATURE = support.TOKEN, support.SIGNATURE
local body, message, send, noting = support.body, support.message, support.send, support.noting

describe("the documents' request", function()
  local published = '{"action":"implementation.info","time":"2012-10-01T17:18:40Z"}'
  local hex = "826b61e7939505b2e773ef43a2aad53ec0385dd9d783fbd1c8fea00d0e2a3e2f"
    .. "b0ae0a5b2eb342356b61c41b5f19baec4c1f7e7e37a5b486fe9b593942017ff9"
  local expected = '{"objects":{"messages":["list"]},"options":[],"locales":{}}'

  local connector
  before_each(function()
    connector = support.new { messages = { list = function() end } }
  end)

  it("is answered, signed as openssl signs", function()
    local status, answer, headers = connector:handle(published, hex)
    assert.are.equal(200, status)
    assert.are.equal(expected, answer)
    assert.are.same({
      ["Content-Type"] = "application/json; charset=utf-8",
      [SIGNATURE] = openssl.sign(TOKEN, expected),
    }, headers)
  end)

  it("may have its signature in upper case, or in the query", function()
    assert.are.equal(200, (connector:handle(published, hex:upper())))
    assert.are.equal(200, (connector:handle(published, nil, hex)))
    assert.are.equal(200, (connector:handle(published, "", hex)))
    assert.are.equal(200, (connector:handle(published, hex, "wrong")))
  end)

  it("is answered with headers of its own each time", function()
    local _, _, headers = connector:handle(published, hex)
    headers[SIGNATURE] = "changed"
    _, _, headers = connector:handle(published, hex)
    assert.are.equal(openssl.sign(TOKEN, expected), headers[SIGNATURE])
  end)

  it("is refused without a right signature", function()
    local refused = 0
    for _, case in ipairs {
      {},
      { "" },
      { "", "" },
      { hex:sub(1, -2) },
      { hex .. "0" },
      { hex:gsub("^.", "9") },
      { hex:gsub(".$", "8") },
      { ("0"):rep(128) },
      { ("g"):rep(128) },
      { nil, "wrong" },
      { "wrong", hex },
      { { hex, hex } },
      { nil, { hex } },
      { 42 },
      { true, true },
      { openssl.sign("another", published) },
      { sendapi.sign(TOKEN, published .. " ") },
    } do
      local status, answer, headers = connector:handle(published, case[1], case[2])
      assert.are.equal(403, status)
      assert.are.equal("Invalid signature", answer)
      assert.are.same({ ["Content-Type"] = "text/plain" }, headers)
      refused = refused + 1
    end
    assert.are.equal(17, refused)
  end)
end)

describe("a misuse of handle raises at its line:", function()
  local connector = support.new {}

  it("a body that is no string", function()
    assert.are.equal(
      "connector:handle: body: expected a string, got a table",
      raising.text(function()
        connector:handle {}
      end)
    )
  end)

  it("a dot in the colon's place", function()
    for _, self in ipairs { "", {}, false } do
      assert.are.equal(
        "call it with a colon: connector:handle(body, signature)",
        raising.text(function()
          connector.handle(self, "{}", "x")
        end)
      )
    end
  end)
end)

describe("two tokens", function()
  local connector = support.new({ messages = { show = function() end } }, { "new", "old" })
  local request = body("messages.show", { id = "1" })

  it("are both accepted, and each answer is signed by its request's", function()
    for _, token in ipairs { "new", "old" } do
      local status, answer, headers = connector:handle(request, openssl.sign(token, request))
      assert.are.equal(200, status)
      assert.are.equal(openssl.sign(token, answer), headers[SIGNATURE])
      local info
      info, answer = send(connector, body "implementation.info", token)
      assert.are.equal(200, info)
      assert.is_string(answer)
    end
  end)

  it("do not let a third in", function()
    assert.are.equal(403, (connector:handle(request, sendapi.sign("older", request))))
    assert.are.equal(403, (connector:handle(request, sendapi.sign("newold", request))))
  end)
end)

describe("an answer's signature", function()
  it("is the one of its exact bytes", function()
    local connector = support.new {
      messages = {
        list = function()
          local list = {}
          for i = 1, 20 do
            list[i] = message(("é\0%d"):format(i))
          end
          return list
        end,
        show = function()
          return nil, "Désolé \"\\\n"
        end,
      },
    }
    local answers, signatures = {}, {}
    for i, request in ipairs { body "messages.list", body("messages.show", { id = "1" }) } do
      local _, answer, headers = connector:handle(request, sendapi.sign(TOKEN, request))
      answers[i], signatures[i] = answer, headers[SIGNATURE]
    end
    assert.are.same(hmac.sign_all(TOKEN, answers), signatures)
  end)
end)

describe("what is refused", function()
  local not_json, malformed = "Bad request", "Invalid request format"
  local action, invalid = "Invalid action", "Invalid resource format"
  local deep = 64

  local function info_with(tail)
    return '{"action":"implementation.info"' .. tail .. "}"
  end

  local cases = {
    { "no body", 400, not_json, "" },
    { "text", 400, not_json, "ok" },
    { "half an object", 400, not_json, '{"action":"messages.list"' },
    { "two values", 400, not_json, info_with "" .. "{}" },
    { "a NUL behind it", 400, not_json, info_with "" .. "\0" },
    { "bytes that are not UTF-8", 400, not_json, info_with ',"a":"\255"' },
    { "overlong UTF-8", 400, not_json, info_with ',"a":"\192\175"' },
    { "a bare NUL in a string", 400, not_json, info_with ',"a":"\0"' },
    { "a bare line break in a string", 400, not_json, info_with ',"a":"\n"' },
    { "half a surrogate pair", 400, not_json, info_with ',"a":"\\ud800"' },
    { "too deep arrays", 400, not_json, info_with(',"a":' .. ("["):rep(deep) .. ("]"):rep(deep)) },
    { "100,000 open arrays", 400, not_json, ("["):rep(100000) },
    { "100,000 open objects", 400, not_json, ('{"a":'):rep(100000) },
    { "a key that is there twice", 400, not_json, info_with ',"action":"messages.list"' },
    { "the same, escaped", 400, not_json, info_with ',"\\u0061ction":"messages.list"' },
    { "the same, deeper", 400, not_json, info_with ',"params":{"a":[{"b:":1,"b:":2}]}' },
    { "a number that is too large", 400, not_json, info_with ',"a":1e999' },
    { "the same below zero, deeper", 400, not_json, info_with ',"a":{"b":[-1e999]}' },
    { "the same of many digits", 400, not_json, info_with(',"a":1' .. ("0"):rep(400)) },
    { "a number that is none", 400, not_json, info_with ',"a":NaN' },
    { "hexadecimal digits", 400, not_json, info_with ',"a":0x10' },
    { "a leading zero", 400, not_json, info_with ',"a":01' },
    { "a point without digits behind", 400, not_json, info_with ',"a":[1.]' },
    { "a point without digits before", 400, not_json, info_with ',"a":-.5' },

    { "null", 400, malformed, "null" },
    { "a number", 400, malformed, "1" },
    { "a string", 400, malformed, '"implementation.info"' },
    { "a boolean", 400, malformed, "false" },
    { "an array", 400, malformed, '["implementation.info"]' },
    { "an empty object", 400, malformed, "{}" },
    { "no action", 400, malformed, '{"params":{}}' },
    { "a null action", 400, malformed, '{"action":null}' },
    { "a number as action", 400, malformed, '{"action":1}' },
    { "an object as action", 400, malformed, '{"action":{"a":"messages.list"}}' },
    { "params as an array", 400, malformed, info_with ',"params":[1]' },
    { "params as a string", 400, malformed, info_with ',"params":"{}"' },
    { "params as a number", 400, malformed, info_with ',"params":0' },
    { "params as a boolean", 400, malformed, info_with ',"params":false' },

    { "an empty action", 422, action, body "" },
    { "an unknown object", 422, action, body "message.list" },
    { "an unknown operation", 422, action, body "messages.listen" },
    { "an object that is not defined", 422, action, body "threads.list" },
    { "another case of letters", 422, action, body "Messages.list" },
    { "a NUL in the action", 422, action, '{"action":"messages.list\\u0000"}' },
    { "a NUL before the action", 422, action, '{"action":"\\u0000messages.list"}' },
    { "what is only declared", 422, action, body("messages.reply", { id = "1" }) },
    { "what only the client sends", 422, action, body("status.mark_as_read", { id = "1" }) },
    { "the same", 422, action, body("typing.start", { thread_id = "1" }) },
    { "a name of Lua's", 422, action, body "__index" },

    { "show without params", 422, invalid, body "messages.show" },
    { "show with null params", 422, invalid, body("messages.show", "null") },
    { "show without an id", 422, invalid, body("messages.show", { ids = "1" }) },
    { "show with a null id", 422, invalid, body("messages.show", '{"id":null}') },
    { "show with an empty id", 422, invalid, body("messages.show", { id = "" }) },
    { "show with an id in a table", 422, invalid, body("messages.show", { id = { "1" } }) },
    { "show with true for an id", 422, invalid, body("messages.show", { id = true }) },
    { "delete without an id", 422, invalid, body("messages.delete", {}) },
    { "publish without an id", 422, invalid, body("messages.publish", {}) },
    { "unpublish without an id", 422, invalid, body("messages.unpublish", {}) },
    { "a custom action without an id", 422, invalid, body("messages.spam", { user_id = "1" }) },
    { "show with lost digits", 422, invalid, body("messages.show", '{"id":9007199254740993}') },
    { "delete with a huge number", 422, invalid, body("messages.delete", '{"id":-1e300}') },
    { "list since lost digits", 422, invalid, body("messages.list", '{"since_id":1e16}') },
    { "list since a table", 422, invalid, body("messages.list", { since_id = { "1" } }) },
  }

  for _, case in ipairs(cases) do
    local name, status, text, bytes = case[1], case[2], case[3], case[4]
    it(("is %s: %d %s"):format(name, status, text), function()
      local connector, calls, log = noting()
      local actual_status, answer = send(connector, bytes)
      assert.are.equal(text, answer)
      assert.are.equal(status, actual_status)
      assert.are.same({}, calls)
      assert.are.equal(1, #log)
      assert.is_truthy(log[1]:find(("^warn: connector: %d %s: %%l"):format(status, text)), log[1])
    end)
  end

  it("is a missing body, signed", function()
    local connector = noting()
    local status, text = connector:handle(nil, sendapi.sign(TOKEN, ""))
    assert.are.same({ 400, not_json }, { status, text })
  end)

  it("is first of all what is too large: nothing else is looked at", function()
    local connector, calls, log = noting { list = {} }
    local largest = require("sendapi.connector").maximum_bytes
    assert.are.equal(20971520, largest)
    local start = '{"action":"messages.list","padding":"'
    local large = start .. ("x"):rep(largest - #start - 2) .. '"}'
    assert.are.equal(200, (send(connector, large)))
    assert.are.equal(1, #calls)
    local status, text = connector:handle(large .. " ", nil)
    assert.are.same({ 413, "Request too large" }, { status, text })
    assert.are.same({ "warn: connector: 413 Request too large: it has 20971521 bytes" }, log)
  end)

  it("is not read before the signature is right", function()
    local connector = noting()
    for _, bytes in ipairs { "", "nonsense", ("["):rep(100000), body "messages.nonsense" } do
      local status, text = connector:handle(bytes, ("0"):rep(128))
      assert.are.same({ 403, "Invalid signature" }, { status, text })
    end
  end)

  it("is not what lies as deep as it may", function()
    local connector = noting()
    local nested = ("["):rep(deep - 1) .. ("]"):rep(deep - 1)
    assert.are.equal(200, (send(connector, info_with(',"a":' .. nested))))
  end)

  it("is not what merely looks wrong", function()
    local connector = noting()
    for _, tail in ipairs {
      ',"a":"\\"b\\":1."',
      ',"a":"\\\\","b":":"',
      ',"a:":{"a:":-1.5e-3}',
      ',"a":[0.5,1E+2,-0]',
      ',"a":"1e999"',
      ',"":{"":""}',
      ',\n\t"a" :\r\n1',
      ',"params":null',
      ',"params":[]',
      ',"time":5',
    } do
      assert.are.equal(200, (send(connector, info_with(tail))))
    end
  end)
end)
