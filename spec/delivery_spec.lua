--- The seven actions and every refusal, end to end: the public API against a real nginx.
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local host = require "sendapi.sandbox.host"
local openssl = require "spec.support.openssl"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"

local TOKEN = send_api.token

local john = { id = "666", created_at = "07/11/2019", screenname = "John Doe" }
local puppet = { id = "7", created_at = 0, screenname = "Agent", puppetizable = true }

local function message(changes)
  local params = { id = "890", thread_id = "42", author = john, body = "Awesome post !" }
  for name, value in pairs(changes or {}) do
    params[name] = value
  end
  return params
end

local ACTIONS = {
  { "messages", "create", message { actions = { "reply" }, format = "text" } },
  { "private_messages", "create", message { recipient = puppet } },
  { "threads", "create", { id = "42", author = john, body = "Hi", title = "Posts" } },
  { "users", "create", puppet },
  { "status", "mark_as_read", { id = "890" } },
  { "typing", "start", { preview = "Hello" } },
  { "typing", "stop", { in_reply_to_id = "890" } },
}
ACTIONS[2][3].thread_id = nil

describe("delivery", function()
  local sandbox

  setup(function()
    sandbox = assert(host.start {
      sources = {
        plain = { token = TOKEN },
        messaging = { token = TOKEN, options = { "view.messaging" } },
        unthreaded = { token = TOKEN, options = { "messages.unthreaded" } },
        bare = { token = TOKEN, options = { "threads.no_content" } },
        ["odd id?&#%"] = { token = TOKEN },
      },
    })
  end)

  teardown(function()
    sandbox:stop()
  end)

  before_each(function()
    sandbox:clear()
  end)

  --- The sandbox keeps a thread's typing.start apart by two seconds, so each gets its own thread.
  local threads = 0
  local function fresh(name, params)
    if name == "typing.start" then
      threads = threads + 1
      params.thread_id = "typing " .. threads
    end
    return params
  end

  local function client(source_id, options, token)
    options = options or {}
    options.base_url = options.base_url or sandbox.http
    return sendapi.client(source_id or "plain", token or TOKEN, options)
  end

  --- Makes a call that ends as by Ctrl-C: a hook raises when the request was just submitted.
  local function interrupted_call(sender)
    local expect = engine.expect
    engine.expect = function()
      engine.expect = expect
      error("interrupted!", 0)
    end
    local fine, why = pcall(sender.messages.create, sender.messages, message())
    assert.is_false(fine)
    assert.equal("interrupted!", why)
  end

  it("goes on after a call that was interrupted", function()
    local sender = client()
    for _ = 1, 3 do
      interrupted_call(sender)
    end
    assert.is_true(sender.messages:create(message()))
    assert.equal(4, #sandbox:received())
    assert.equal(4, sender:stats().delivered)
    assert.is_true(sender:close())
  end)

  it("asks nobody about an interrupted call, and lets its conversation go on", function()
    local asked = 0
    local sender = client("plain", {
      base_url = "http://127.0.0.1:1",
      retry = function()
        asked = asked + 1
      end,
    })
    interrupted_call(sender)
    local _, err = sender.messages:create(message(), { deadline = 20 })
    assert.equal("connection_refused", err.code)
    assert.equal(1, asked)
    assert.equal(2, sender:stats().failed)
    assert.is_true(sender:close())
  end)

  it("counts right whenever a call or a poll is interrupted", function()
    local sender = client("plain", { log = function() end })
    local function no() end
    local interrupted = 0
    for instructions = 1, 400 do
      local fine = pcall(function()
        debug.sethook(function()
          debug.sethook()
          error("interrupted!", 0)
        end, "", instructions)
        sender.messages:create(message(), no)
        sender:poll()
        debug.sethook()
      end)
      interrupted = interrupted + (fine and 0 or 1)
    end
    debug.sethook()
    assert.is_true(interrupted > 20)
    assert.is_true(sender:flush(10))
    assert.equal(0, sender:stats().pending)
    assert.is_false(engine.is_busy())
    local start = core.now()
    assert.is_true(sender:close(20))
    assert.is_true(core.now() - start < 10)
  end)

  for _, case in ipairs(ACTIONS) do
    local resource, operation, params = case[1], case[2], case[3]
    local name = resource .. "." .. operation

    for _, scheme in ipairs { "http", "https" } do
      it(("delivers %s over %s"):format(name, scheme), function()
        local sender = client("plain", { base_url = sandbox[scheme], ca_file = sandbox.ca_file })
        assert.is_true(sender[resource][operation](sender[resource], fresh(name, params)))
        local received = sandbox:received()
        assert.equal(1, #received)
        assert.equal(name, received[1].action)
        assert.equal("ok", received[1].text)
        assert.equal(openssl.sign(TOKEN, received[1].body), received[1].signature)
        sender:close()
      end)
    end

    it(("sends %s by its name"):format(name), function()
      local sender = client()
      assert.is_true(sender:send(name, fresh(name, params)))
      assert.equal(name, sandbox:received()[1].action)
    end)
  end

  it("sends the body that the documents' first example is, byte for byte", function()
    local sender = client()
    assert.is_true(sender.messages:create {
      id = "890",
      author = { id = "666", created_at = "06/11/2017", screenname = "John Doe" },
      body = "Awesome post !",
      thread_id = "42",
    })
    assert.equal(
      '{"action":"messages.create","params":{"id":"890","author":{"id":"666",'
        .. '"created_at":"06/11/2017","screenname":"John Doe"},"body":"Awesome post !",'
        .. '"thread_id":"42"}}',
      sandbox:received()[1].body
    )
  end)

  it("keeps one connection for many calls, and serves several clients in turn", function()
    local one, other = client(), client("messaging")
    for i = 1, 50 do
      local sender = i % 2 == 0 and one or other
      assert.is_true(sender.messages:create(message { id = i }))
    end
    local seen = {}
    for i, entry in ipairs(sandbox:received()) do
      seen[i] = entry.params.id
    end
    assert.equal(50, #seen)
    assert.equal("1", seen[1])
    assert.equal("50", seen[50])
  end)

  it("escapes a source id in the url", function()
    local sender = client "odd id?&#%"
    assert.is_true(sender.status:mark_as_read { id = "1" })
    assert.equal("odd id?&#%", sandbox:received()[1].source_id)
  end)

  it("attaches a file that arrives as it was", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    local bytes = ("\0\1\254\255 attachment"):rep(100000)
    file:write(bytes)
    file:close()
    local sender = client()
    assert.is_true(sender.messages:create(message {
      body = "see",
      attachments = { sendapi.file(path, { filename = "in voice.pdf" }) },
    }))
    os.remove(path)
    local received = sandbox:received()[1]
    assert.equal("ok", received.text)
    assert.is_true(received.body_bytes > #bytes * 4 / 3)
  end)

  it("lets the source's options relax what is required", function()
    local unthreaded = client("unthreaded", { source_options = { "messages.unthreaded" } })
    local params = message()
    params.thread_id = nil
    assert.is_true(unthreaded.messages:create(params))
    local _, err = client("unthreaded").messages:create(params)
    assert.equal("params.thread_id", err.field)

    local bare = client("bare", { source_options = { "threads.no_content" } })
    assert.is_true(bare.threads:create { id = "42" })
  end)

  it("lets unknown fields pass on demand", function()
    local sender = client("plain", { extra_fields = true })
    assert.is_true(sender.messages:create(message { zeta = { 1, 2.5, "x", false }, alpha = {} }))
    local body = sandbox:received()[1].body
    assert.truthy(body:find('"alpha":{},"zeta":[1,2.5,"x",false]}}', 1, true))
  end)

  describe("refused by the server", function()
    local content = { type = "select", items = { { title = "Yes" } } }

    local REFUSALS = {
      { "source_not_found", "source", 422, "Source not found", source = "nobody" },
      { "invalid_signature", "source", 422, "Invalid signature", token = "wrong" },
      {
        "structured_contents_unsupported",
        "message",
        422,
        "Source doesn't support structured contents",
        params = message { structured_content = content, author = puppet },
      },
      {
        "invalid_resource_format",
        "message",
        422,
        "Invalid resource format",
        params = { id = "1", author = puppet, body = "x" },
        options = { source_options = { "messages.unthreaded" } },
      },
    }

    for _, case in ipairs(REFUSALS) do
      it("gives " .. case[1], function()
        local sender = client(case.source, case.options, case.token)
        local ok, err = sender.messages:create(case.params or message())
        assert.is_nil(ok)
        assert.equal(case[1], err.code)
        assert.equal(case[2], err.class)
        assert.equal(case[3], err.status)
        assert.equal(case[4], err.body)
        assert.equal("messages.create", err.action)
        assert.equal(1, err.attempts)
        assert.is_false(err.retryable)
        assert.truthy(tostring(err):find(case[1], 1, true))
      end)
    end

    it("gives too_many_typing_requests, until typing stops", function()
      local sender, other = client(), client()
      local typing = { thread_id = "throttled", preview = "a" }
      assert.is_true(other.typing:start(typing))
      local _, err = sender.typing:start(typing)
      assert.equal("too_many_typing_requests", err.code)
      assert.equal("throttled", err.class)
      assert.equal(429, err.status)
      assert.is_true(err.retryable)
      assert.is_true(sender.typing:stop { thread_id = "throttled" })
      assert.is_true(sender.typing:start(typing))
    end)

    it("takes structured contents where the source has them", function()
      local sender = client "messaging"
      local params = message { structured_content = content, author = puppet }
      assert.is_true(sender.messages:create(params))
    end)
  end)

  describe("refused here, with nothing sent", function()
    after_each(function()
      assert.same({}, sandbox:received())
    end)

    it("names the field", function()
      local ok, err = client().messages:create(message { author = { id = "1", created_at = 0 } })
      assert.is_nil(ok)
      assert.equal("invalid_params", err.code)
      assert.equal("local", err.class)
      assert.equal("params.author.screenname", err.field)
      assert.equal(0, err.attempts)
      assert.is_nil(err.status)
      assert.is_false(err.retryable)
    end)

    it("takes params of any type", function()
      for _, params in ipairs { 42, "text", true, print } do
        local _, err = client().messages:create(params)
        assert.equal("invalid_params", err.code)
        assert.equal("params", err.field)
      end
      local _, err = client().messages:create()
      assert.equal("params", err.field)
    end)

    it("says of a file that cannot be read which and why", function()
      local missing = sendapi.file "/nonexistent/invoice.pdf"
      local _, err = client().messages:create(message { attachments = { missing } })
      assert.equal("invalid_params", err.code)
      assert.equal("params.attachments[1]", err.field)
      assert.truthy(err.message:find("/nonexistent/invoice.pdf", 1, true))
      assert.truthy(err.message:find("No such file or directory", 1, true))
    end)

    it("gives request_too_large over 20971520 bytes", function()
      local ok, err = client().messages:create(message { body = ("x"):rep(20971520) })
      assert.is_nil(ok)
      assert.equal("request_too_large", err.code)
      assert.equal("message", err.class)
      assert.is_nil(err.status)
      assert.equal(0, err.attempts)
    end)
  end)

  it("delivers a body of exactly 20971520 bytes", function()
    local sender = client()
    assert.is_true(sender.messages:create(message { body = "x" }))
    local rest = sandbox:received()[1].body_bytes - 1
    assert.is_true(sender.messages:create(message { body = ("x"):rep(20971520 - rest) }))
    assert.equal(20971520, sandbox:received()[2].body_bytes)
  end)
end)
