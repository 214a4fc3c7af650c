--- The option `retry` as a function: what it is asked, and what its answers do.
local core = require "sendapi.core"
local sandboxes = require "spec.support.sandbox"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"

local TOKEN, message = send_api.token, send_api.params

describe("a retry function", function()
  local sandbox, client, logged

  setup(function()
    sandbox = sandboxes.start {
      sources = {
        busy = { token = TOKEN, fault = { kind = "status", status = 503, text = "Down" } },
        wrong = { token = "another" },
        plain = { token = TOKEN },
      },
    }
  end)

  teardown(function()
    sandbox:stop()
  end)

  before_each(function()
    logged = {}
    sandbox:clear()
  end)

  after_each(function()
    client:close(0)
  end)

  local function new(source_id, retry, options)
    options = options or {}
    options.base_url = sandbox.http
    options.retry = retry
    options.log = options.log or function(level, text)
      logged[#logged + 1] = level .. ": " .. text
    end
    client = sendapi.client(source_id, TOKEN, options)
    return client
  end

  --- Sends one message and waits; how often the server was asked stands in the error.
  local function send()
    local ok, err = client.messages:create(message(1))
    assert.is_nil(ok)
    return err
  end

  it("is asked with the error and the number of the attempt", function()
    local asked = {}
    new("busy", function(err, attempt)
      asked[#asked + 1] = { err.code, err.class, err.status, err.action, attempt }
      return attempt < 3 and 0.01 or nil
    end)
    local err = send()
    assert.equal("server_error", err.code)
    assert.equal(3, err.attempts)
    for i = 1, 3 do
      assert.same({ "server_error", "transient", 503, "messages.create", i }, asked[i])
    end
    assert.equal(3, #asked)
    assert.equal(2, client:stats().retries)
  end)

  it("is asked about what would not be sent again by itself", function()
    local codes = {}
    new("wrong", function(err, attempt)
      codes[attempt] = err.code
      return attempt < 2 and 0 or nil
    end)
    assert.equal(2, send().attempts)
    assert.same({ "invalid_signature", "invalid_signature" }, codes)
  end)

  it("is not asked about what was delivered, or never accepted", function()
    new("plain", error)
    assert.is_true(client.messages:create(message(1)))
    assert.is_nil(client.messages:create {})
    assert.same({}, logged)
  end)

  it("says how long to wait; less than nothing is nothing", function()
    local waits = { 0.2, -5, -math.huge }
    new("busy", function(_, attempt)
      return waits[attempt]
    end)
    local began = core.now()
    assert.equal(4, send().attempts)
    local seconds = core.now() - began
    assert.is_true(seconds >= 0.2 and seconds < 15)
  end)

  it("gives up with any other answer", function()
    for _, answer in ipairs { "soon", "1", true, {}, 0 / 0, print } do
      new("busy", function()
        return answer
      end)
      assert.equal(1, send().attempts)
    end
    assert.same({}, logged)
  end)

  it("cannot outlive the deadline", function()
    new("busy", function()
      return 1e9
    end, { deadline = 3 })
    local began = core.now()
    assert.equal("server_error", send().code)
    assert.is_true(core.now() - began < 15)
  end)

  it("gives up when it fails, and that is logged", function()
    new("busy", function()
      error "oh dear"
    end)
    assert.equal(1, send().attempts)
    assert.equal(1, #logged)
    assert.truthy(logged[1]:find "^error: the retry function failed: .*oh dear")
  end)

  it("may fail together with the log", function()
    new("busy", error, { log = error })
    assert.equal(1, send().attempts)
  end)

  it("may make calls", function()
    local plain = sendapi.client("plain", TOKEN, { base_url = sandbox.http })
    local delivered
    new("busy", function()
      delivered = plain.messages:create(message(2))
    end)
    assert.equal(1, send().attempts)
    assert.is_true(delivered)
    plain:close()
  end)

  it("may close the client", function()
    local codes = {}
    new("busy", function()
      client:close(0)
      return 0
    end)
    for i = 1, 3 do
      client.messages:create(message(i), function(_, err)
        codes[#codes + 1] = err.code
      end)
    end
    local deadline = core.now() + 5
    repeat
      client:poll()
      assert.is_true(core.now() < deadline, "it does not end")
    until #codes == 3
    local stats = client:stats()
    assert.equal(3, stats.failed)
    assert.equal(0, stats.pending)
  end)

  it("holds the conversation meanwhile, and no other one", function()
    local order = {}
    new("busy", function(_, attempt)
      return attempt < 2 and 0.1 or nil
    end)
    for i, thread_id in ipairs { "a", "a", "b" } do
      client.messages:create(message(i, thread_id), function()
        order[#order + 1] = thread_id .. i
      end)
    end
    assert.is_true(client:flush(30))
    assert.equal("a2", order[3])
  end)
end)
