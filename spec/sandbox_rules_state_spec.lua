local cjson = require "cjson"
local openssl = require "spec.support.openssl"
local rules = require "sendapi.sandbox.rules"
local send_api = require "spec.support.send_api"

local ask, context, message = send_api.ask, send_api.context, send_api.message
local request, structured = send_api.request, send_api.structured
local sources, token = send_api.sources, send_api.token

describe("the signature", function()
  local body = message(send_api.whole_message)
  local right = openssl.sign(token, body)

  local function sign_with(signature, source_id)
    return rules.answer(sources(), source_id or "plain", body, signature, context())
  end

  it("may be in upper case", function()
    assert.are.equal(200, (sign_with(right:upper())))
  end)

  local wrong = {
    { "absent", nil },
    { "empty", "" },
    { "of another token", openssl.sign(token:sub(2), body) },
    { "of another body", openssl.sign(token, body .. " ") },
    { "wrong in its first digit", (right:sub(1, 1) == "0" and "1" or "0") .. right:sub(2) },
    { "wrong in its last digit", right:sub(1, -2) .. (right:sub(-1) == "0" and "1" or "0") },
    { "cut", right:sub(1, -2) },
    { "too long", right .. "0" },
    { "a table", { right } },
    { "true", true },
  }
  for _, case in ipairs(wrong) do
    local name, signature = case[1], case[2]
    it("is refused: " .. name, function()
      local status, text, asked = sign_with(signature)
      assert.are.equal(422, status)
      assert.are.equal("Invalid signature", text)
      assert.is_nil(asked)
    end)
  end

  it("is that of the published vector", function()
    local polled = '{"action":"implementation.info","time":"2012-10-01T17:18:40Z"}'
    local published = "826b61e7939505b2e773ef43a2aad53ec0385dd9d783fbd1c8fea00d0e2a3e2f"
      .. "b0ae0a5b2eb342356b61c41b5f19baec4c1f7e7e37a5b486fe9b593942017ff9"
    local source = { token = "3YJZzqMJ5Ec7i2JGvnt8TgvleD7dtpwpmag4S6MuRA2GQdfvV4STIsxDRJ4fEjO8" }
    local status, text = rules.answer({ a = source }, "a", polled, published, context())
    assert.are.equal(400, status)
    assert.are.equal("Invalid request format", text)
  end)

  it("is asked for only where there is a source", function()
    for _, id in ipairs { "none", "", "plain " } do
      local status, text = sign_with(right, id)
      assert.are.equal(422, status)
      assert.are.equal("Source not found", text)
    end
    local status, text = rules.answer(sources(), nil, body, right, context())
    assert.are.equal(422, status)
    assert.are.equal("Source not found", text)
  end)

  it("comes before what is in the body, and after its size", function()
    local _, text = rules.answer(sources(), "plain", "not JSON", nil, context())
    assert.are.equal("Invalid signature", text)
    local status = rules.answer(sources(), "none", ("x"):rep(20971521), nil, context())
    assert.are.equal(413, status)
  end)
end)

describe("the request that is handed back", function()
  it("is there once it was read, accepted or not", function()
    local _, _, accepted = ask(message(send_api.whole_message))
    assert.are.equal("messages.create", accepted.action)
    assert.are.equal("Awesome post !", accepted.params.body)
    local status, _, refused = ask(request("messages.delete", '{"id":"1"}'))
    assert.are.equal(422, status)
    assert.are.same({ action = "messages.delete", params = { id = "1" } }, refused)
  end)

  it("is not there when there is none", function()
    for _, body in ipairs { "", "{}", "[]", '{"action":"users.create"}' } do
      local _, _, asked = ask(body)
      assert.is_nil(asked)
    end
  end)
end)

describe("typing", function()
  local state

  local function type_at(now, action, params)
    local status, text, asked = ask(request("typing." .. action, params), "plain", state, now)
    if status == 200 then
      rules.remember(state.plain, asked, now)
    end
    return status, text
  end

  local thread = '{"thread_id":"42","preview":"a"}'
  local reply = '{"thread_id":"42","in_reply_to_id":"890","preview":"a"}'

  before_each(function()
    state = sources()
  end)

  it("may start once in 2 seconds", function()
    assert.are.equal(200, (type_at(1000, "start", thread)))
    local status, text = type_at(1001.999, "start", thread)
    assert.are.equal(429, status)
    assert.are.equal("too many typing requests, please try again in a few seconds", text)
    assert.are.equal(200, (type_at(1002, "start", thread)))
    assert.are.equal(429, (type_at(1003, "start", thread)))
  end)

  it("is not made later by what is refused", function()
    assert.are.equal(200, (type_at(1000, "start", thread)))
    assert.are.equal(429, (type_at(1001.5, "start", thread)))
    assert.are.equal(200, (type_at(1002.1, "start", thread)))
  end)

  it("may start again after a stop", function()
    assert.are.equal(200, (type_at(1000, "start", thread)))
    assert.are.equal(200, (type_at(1000.1, "stop", '{"thread_id":"42"}')))
    assert.are.equal(200, (type_at(1000.2, "start", thread)))
  end)

  it("is counted for each thread", function()
    assert.are.equal(200, (type_at(1000, "start", thread)))
    assert.are.equal(200, (type_at(1000, "start", '{"thread_id":"43","preview":"a"}')))
  end)

  it("is counted for the message where there is one", function()
    assert.are.equal(200, (type_at(1000, "start", thread)))
    assert.are.equal(200, (type_at(1000, "start", reply)))
    assert.are.equal(429, (type_at(1001, "start", '{"in_reply_to_id":"890","preview":"b"}')))
    assert.are.equal(200, (type_at(1001, "stop", '{"thread_id":"42"}')))
    assert.are.equal(429, (type_at(1001, "start", reply)))
    assert.are.equal(200, (type_at(1001, "stop", '{"in_reply_to_id":"890"}')))
    assert.are.equal(200, (type_at(1001, "start", reply)))
  end)

  it("that lacks something is not one too many", function()
    assert.are.equal(200, (type_at(1000, "start", thread)))
    assert.are.equal(422, (type_at(1000, "start", '{"thread_id":"42"}')))
  end)

  it("goes on when the clock was put back", function()
    assert.are.equal(200, (type_at(1000, "start", thread)))
    assert.are.equal(200, (type_at(500, "start", thread)))
  end)

  it("is forgotten when it means nothing any more, and not before", function()
    assert.are.equal(200, (type_at(1000, "start", thread)))
    rules.tidy(state.plain, 1001.9)
    assert.are.equal(429, (type_at(1001.9, "start", thread)))
    rules.tidy(state.plain, 1002)
    assert.is_nil(next(state.plain.typing))
    rules.tidy({ token = "t" }, 1002)
  end)

  it("stops without having started", function()
    assert.are.equal(200, (type_at(1000, "stop", '{"thread_id":"42"}')))
  end)
end)

describe("hostile bodies", function()
  it("raise no error, wherever a value stands in a good request", function()
    local good = cjson.decode(
      structured '{"type":"carousel","items":[{"title":"a","items":[{"type":"url"}]}]}'
    )
    local values = {
      cjson.null, true, false, 0, -1.5, "", "x", "\0", {}, { 1 }, { { {} } }, { a = { 1 } },
    }
    local asked = 0
    local function replace_everywhere(object)
      for key, original in pairs(object) do
        for _, value in ipairs(values) do
          object[key] = value
          local state = sources()
          local body = cjson.encode(good)
          local status, text = rules.answer(state, "viewing", body, "", {
            now = 0,
            sign = function()
              return ""
            end,
          })
          assert.is_number(status)
          assert.is_string(text)
          asked = asked + 1
        end
        object[key] = original
        if type(original) == "table" then
          replace_everywhere(original)
        end
      end
    end
    replace_everywhere(good)
    assert.is_true(asked > 200)
  end)

  it("do not change the sources", function()
    local state = sources()
    ask(request("typing.start", '{"thread_id":"1","preview":"a"}'), "plain", state)
    assert.are.same(sources(), state)
  end)
end)
