local curl = require "spec.support.curl"
local openssl = require "spec.support.openssl"
local send_api = require "spec.support.send_api"
local shell = require "spec.support.shell"
local support = require "spec.support.sandbox"

local post, signed_header, start = support.post, support.signed_header, support.start
local request, token, user = send_api.request, send_api.token, send_api.user
local good = request("users.create", user)

local function assert_answer(answer, status, text)
  assert.are.equal("", answer.errors)
  assert.are.equal(text, answer.body)
  assert.are.equal(status, answer.status)
  assert.is_truthy(answer.headers:lower():find("content-type: text/plain\r\n", 1, true))
end

describe("the sandbox", function()
  local sandbox

  setup(function()
    sandbox = start()
  end)

  teardown(function()
    sandbox:stop()
  end)

  before_each(function()
    sandbox:clear()
  end)

  it("accepts a signed request over HTTP", function()
    assert_answer(post(sandbox, "plain", good), 200, "ok")
  end)

  it("accepts a signed request over HTTPS, by name and by address", function()
    assert_answer(post(sandbox, "plain", good, sandbox.https), 200, "ok")
    local by_address = sandbox.https:gsub("localhost", "127.0.0.1")
    assert_answer(post(sandbox, "plain", good, by_address), 200, "ok")
  end)

  it("shows a certificate for another name", function()
    local answer = post(sandbox, "plain", good, sandbox.https_other_name)
    assert.are.equal(60, answer.exit)
    assert.is_truthy(answer.errors:find "localhost")
    local port = sandbox.https_other_name:match "%d+$"
    local url = "https://other.example:" .. port .. "/realtime/sdk/plain"
    answer = curl.post(url, good, {
      headers = { signed_header(good) },
      ca_file = sandbox.ca_file,
      extra = "--resolve other.example:" .. port .. ":127.0.0.1",
    })
    assert_answer(answer, 200, "ok")
  end)

  it("is not trusted without its own authority", function()
    local answer = curl.post(sandbox.https .. "/realtime/sdk/plain", good)
    assert.are.equal(60, answer.exit)
    assert.are.equal(0, #sandbox:received())
  end)

  it("refuses a wrong signature, and an unknown source", function()
    local url = sandbox.http .. "/realtime/sdk/plain"
    assert_answer(curl.post(url, good), 422, "Invalid signature")
    local answer = curl.post(url, good, { headers = { signed_header(good, "other") } })
    assert_answer(answer, 422, "Invalid signature")
    assert_answer(post(sandbox, "none", good), 422, "Source not found")
  end)

  it("takes the signature from the query, but rather from the header", function()
    local signature = openssl.sign(token, good)
    local url = sandbox.http .. "/realtime/sdk/plain?signature="
    assert_answer(curl.post(url .. signature, good), 200, "ok")
    assert_answer(curl.post(url .. signature:upper(), good), 200, "ok")
    assert_answer(curl.post(url .. "00", good), 422, "Invalid signature")
    local right = { headers = { signed_header(good) } }
    assert_answer(curl.post(url .. "00", good, right), 200, "ok")
    local wrong = { headers = { "X-SMCCSDK-SIGNATURE: 00" } }
    assert_answer(curl.post(url .. signature, good, wrong), 422, "Invalid signature")
  end)

  it("agrees with openssl on keys and bodies of any bytes", function()
    local odd = { token = ("schlüssel '\"$x "):rep(20) }
    local other = start { sources = { odd = odd } }
    local body = request("users.create", '{"email":"\127é",' .. user:sub(2))
    local answer = curl.post(other.http .. "/realtime/sdk/odd", body, {
      headers = { signed_header(body, odd.token) },
    })
    other:stop()
    assert_answer(answer, 200, "ok")
  end)

  it("has only one path, and only for POST", function()
    assert_answer(curl.post(sandbox.http .. "/realtime/sdk", good), 404, "Not found")
    assert_answer(curl.post(sandbox.http .. "/realtime/sdk/plain/", good), 404, "Not found")
    local answer = curl.post(sandbox.http .. "/realtime/sdk/plain", good, { extra = "-X GET" })
    assert_answer(answer, 404, "Not found")
    assert.are.equal(0, #sandbox:received())
  end)

  it("takes 20,971,520 bytes, and not one more", function()
    local first = '{"action":"users.create","params":{"email":"'
    local last = '",' .. user:sub(2) .. "}"
    local body = first .. ("e"):rep(20971520 - #first - #last) .. last
    assert_answer(post(sandbox, "plain", body), 200, "ok")
    local too_large = "Invalid request size (max: 20971520 bytes)"
    assert_answer(post(sandbox, "plain", body .. " "), 413, too_large)
    local received = sandbox:received()
    assert.are.equal(2, #received)
    assert.are.equal(20971520, received[1].body_bytes)
    assert.are.equal(20971521, received[2].body_bytes)
    assert.is_nil(received[1].body)
    assert.are.equal("666", received[1].params.id)
    assert.is_nil(received[2].params)
  end)

  it("takes a body that nginx keeps in a file", function()
    local body = request("users.create", '{"email":"' .. ("e"):rep(900000) .. '",' .. user:sub(2))
    assert_answer(post(sandbox, "plain", body, sandbox.https), 200, "ok")
    assert.are.equal(body, sandbox:received()[1].body)
  end)

  it("takes a body of unannounced length", function()
    local answer = curl.post(sandbox.http .. "/realtime/sdk/plain", good, {
      headers = { signed_header(good), "Transfer-Encoding: chunked" },
    })
    assert_answer(answer, 200, "ok")
  end)

  it("remembers typing", function()
    local typing = request("typing.start", '{"thread_id":"42","preview":"a"}')
    assert_answer(post(sandbox, "plain", typing), 200, "ok")
    local too_many = "too many typing requests, please try again in a few seconds"
    assert_answer(post(sandbox, "plain", typing), 429, too_many)
    assert_answer(post(sandbox, "plain", request("typing.stop", '{"thread_id":"42"}')), 200, "ok")
    assert_answer(post(sandbox, "plain", typing), 200, "ok")
  end)

  it("survives hostile bodies", function()
    local bodies = {
      ["Bad request"] = ("["):rep(200000),
      ["Invalid request format"] = '{"action":"users.create","params":"\\u0000"}',
      ["Invalid action"] = request(
        "\\u0000'; --",
        '{"a":' .. ("["):rep(60) .. ("]"):rep(60) .. "}"
      ),
      ["ok"] = request("users.create", '{"x":1e300,"y":-0.0,' .. user:sub(2)),
    }
    for text, body in pairs(bodies) do
      assert.are.equal(text, post(sandbox, "plain", body).body)
    end
    assert.are.equal(4, #sandbox:received())
  end)

  describe("remembers", function()
    it("what it received, in order", function()
      local began = os.time()
      post(sandbox, "plain", good)
      post(sandbox, "plain", request("messages.delete", '{"id":"1"}'))
      post(sandbox, "none", "\0\255\n")
      local received = sandbox:received()
      assert.are.equal(3, #received)
      assert.is_truthy(received[1].at >= began - 1 and received[1].at <= os.time() + 1)
      received[1].at, received[2].at, received[3].at = nil, nil, nil
      assert.are.same({
        source_id = "plain",
        signature = openssl.sign(token, good),
        body = good,
        body_bytes = #good,
        status = 200,
        text = "ok",
        action = "users.create",
        params = { id = "666", screenname = "John Doe", created_at = "07/11/2019" },
      }, received[1])
      assert.are.equal("Invalid action", received[2].text)
      assert.are.equal("messages.delete", received[2].action)
      assert.are.equal("none", received[3].source_id)
      assert.are.equal("\0\255\n", received[3].body)
    end)

    it("nothing from before it was cleared", function()
      post(sandbox, "plain", good)
      assert.are.equal(1, #sandbox:received())
      sandbox:clear()
      assert.are.same({}, sandbox:received())
      post(sandbox, "plain", good)
      assert.are.equal(1, #sandbox:received())
    end)
  end)

  describe("has faults:", function()
    for _, base in ipairs { "http", "https" } do
      local function meet(source_id)
        return post(sandbox, source_id, good, sandbox[base])
      end

      it("a late answer, over " .. base, function()
        local answer = post(sandbox, "late", good, sandbox[base], "--max-time 0.7")
        assert.are.equal(28, answer.exit)
        assert_answer(meet "late", 200, "ok")
        local received = sandbox:received()
        assert.are.equal(2, #received)
        assert.are.equal(200, received[1].status)
        assert.are.equal("delay", received[1].fault)
      end)

      it("a request that is accepted and not answered, over " .. base, function()
        local answer = meet "dropping"
        assert.are.equal(52, answer.exit)
        assert.are.equal("", answer.headers)
        local received = sandbox:received()
        assert.are.equal(1, #received)
        assert.are.equal(200, received[1].status)
        assert.are.equal("666", received[1].params.id)
      end)

      it("another status, over " .. base, function()
        local answer = meet "busy"
        assert_answer(answer, 503, "Down")
        assert.is_truthy(answer.headers:find("Retry-After: 7", 1, true))
        local received = sandbox:received()
        assert.are.equal("status", received[1].fault)
        assert.is_nil(received[1].status)
      end)

      it("another body, over " .. base, function()
        assert_answer(meet "speaking", 200, "<html>fine</html>")
      end)

      it("a redirect, over " .. base, function()
        local answer = meet "moved"
        assert.are.equal(307, answer.status)
        local to = "Location: http://127.0.0.1:1/elsewhere\r\n"
        assert.is_truthy(answer.headers:find(to, 1, true))
        answer = meet "moved_by_default"
        assert.are.equal(302, answer.status)
        assert.is_truthy(answer.headers:find("/elsewhere\r\n", 1, true))
      end)

      it("no byte of an answer, over " .. base, function()
        local answer = meet "closing"
        assert.are.equal(52, answer.exit)
        assert.are.equal("", answer.headers)
        assert.are.equal("close", sandbox:received()[1].fault)
      end)

      it("half an answer, over " .. base, function()
        local answer = meet "halving"
        assert.are.equal(18, answer.exit)
        assert.are.equal(200, answer.status)
        assert.are.equal("ok", answer.body)
      end)

      it("bytes that are not HTTP, over " .. base, function()
        local answer = meet "babbling"
        assert.are.equal(1, answer.exit)
        assert.is_nil(answer.status)
      end)

      it("a flood, over " .. base, function()
        local answer = meet "flooding"
        assert.are.equal(0, answer.exit)
        assert.are.equal(200, answer.status)
        assert.are.equal(3000001, #answer.body)
      end)
    end

    it("and goes on after each of them, without an error of its own", function()
      for id in pairs(support.faults) do
        post(sandbox, id, good)
      end
      curl.post(sandbox.http .. "/realtime/sdk/flooding", good, { extra = "--max-filesize 10" })
      assert_answer(post(sandbox, "plain", good), 200, "ok")
      assert.are.equal("", shell.read_file(sandbox.log_file))
    end)
  end)
end)

local typing = request("typing.start", '{"thread_id":"42","preview":"a"}')

--- The protocol's table of errors, and what is accepted: status, text, body, and where it is not
-- "viewing", the source.
local rows = {
  { 200, "ok", send_api.structured '{"type":"select","items":[{"title":"Yes"}]}' },
  { 400, "Bad request", "{" },
  { 400, "Invalid request format", '{"action":"users.create"}' },
  { 413, "Invalid request size (max: 20971520 bytes)", (" "):rep(20971521) },
  { 422, "Source not found", good, "none" },
  { 422, "Invalid signature", good, "stranger" },
  { 422, "Invalid action", request("messages.delete", '{"id":"1"}') },
  { 422, "Invalid action", request("users.create", user), "silent" },
  { 422, "Invalid resource format", send_api.message '"id":"1"' },
  {
    422,
    "Source doesn't support structured contents",
    send_api.structured '{"type":"select","items":[{"title":"Yes"}]}',
    "plain",
  },
  { 422, "Type is required for structured contents", send_api.structured '{"items":[]}' },
  {
    422,
    "Source doesn't support this type of structured content",
    send_api.structured '{"type":"poll"}',
  },
  {
    422,
    'structured_content: "title" must not be empty',
    send_api.structured '{"type":"rich_link","url":"https://a.example/"}',
  },
  {
    422,
    "The author must be puppetizable",
    (send_api.structured('{"type":"select","items":[{"title":"Yes"}]}'):gsub(":true", ":false")),
  },
  { 200, "ok", typing },
  { 429, "too many typing requests, please try again in a few seconds", typing },
}

describe("the sandbox's table of errors is the same over", function()
  local sandbox

  setup(function()
    local sources = send_api.sources()
    sources.stranger = { token = "other" }
    sandbox = start { sources = sources }
  end)

  teardown(function()
    sandbox:stop()
  end)

  for _, base in ipairs { "http", "https" } do
    it(base:upper() .. ", row by row", function()
      for _, row in ipairs(rows) do
        local status, text, body, source = row[1], row[2], row[3], row[4]
        assert_answer(post(sandbox, source or "viewing", body, sandbox[base]), status, text)
      end
      local stop = request("typing.stop", '{"thread_id":"42"}')
      assert_answer(post(sandbox, "viewing", stop, sandbox[base]), 200, "ok")
    end)
  end
end)
