--- An outbox in Redis, a real one: stored, delivered, given up, retried. What becomes of it when
-- programs and Redis are killed is in crash_redis_spec.lua.
local core = require "sendapi.core"
local host = require "sendapi.sandbox.host"
local program = require "spec.support.program"
local promptness = require "spec.support.promptness"
local redis = require "spec.support.redis"
local sendapi = require "sendapi"
local send_api = require "spec.support.send_api"
local traffic = require "spec.support.traffic"

local PATIENCE = 20 -- seconds, at most
local PROMPT = 0.25 -- seconds; 0.05 are meant, but the machine may be busy

describe("a client with an outbox in Redis", function()
  local sandbox, server, clients

  setup(function()
    sandbox = assert(host.start { sources = traffic.sources { plain = {} } })
    server = redis.start()
  end)

  teardown(function()
    server:stop()
    sandbox:stop()
  end)

  before_each(function()
    sandbox:clear()
    sandbox:fault(nil)
    server:ask "FLUSHALL"
    clients = {}
  end)

  after_each(function()
    for _, client in ipairs(clients) do
      client:close(0)
    end
  end)

  local function new(options)
    options = options or {}
    options.base_url = sandbox.http
    options.outbox = options.outbox or server.url
    options.log = function() end
    clients[#clients + 1] = sendapi.client("plain", send_api.token, options)
    return clients[#clients]
  end

  local function await(client, condition)
    local deadline = core.now() + PATIENCE
    while not condition() do
      assert.is_true(core.now() < deadline, "nothing came")
      client:poll()
      client:flush(0.01)
    end
  end

  local function await_delivery(client)
    await(client, function()
      return assert(client:outbox():pending()) == 0
    end)
  end

  local function arrivals()
    local ids = {}
    for _, entry in ipairs(sandbox:received()) do
      ids[#ids + 1] = entry.params and entry.params.id
    end
    return ids
  end

  local function check_figures(client)
    local figures = client:stats().outbox
    assert.equal(
      figures.accepted,
      figures.delivered + figures.discarded + figures.dead + figures.pending
    )
    return figures
  end

  it("returns once the message is stored, and delivers it", function()
    local client = new()
    assert.is_true(client.messages:create(traffic.message(1)))
    assert.equal(1, client:stats().stored)
    await_delivery(client)
    assert.same({ "1" }, arrivals())
    assert.equal(1, check_figures(client).delivered)
  end)

  it("stores while nobody listens, and delivers afterwards in order", function()
    local client = new()
    sandbox:kill()
    for i = 1, 20 do
      assert.is_true(client.messages:create(traffic.message(i, i % 3)))
    end
    assert.equal(20, client:outbox():pending())
    assert.is_true(client:outbox():oldest() > 0)
    assert(sandbox:revive())
    await_delivery(client)
    local last = {}
    for _, id in ipairs(arrivals()) do
      id = tonumber(id)
      assert.is_true((last[id % 3] or 0) < id)
      last[id % 3] = id
    end
    assert.equal(20, check_figures(client).delivered)
  end)

  it("finds the server at its socket, too", function()
    sandbox:kill()
    assert.is_true(new({ outbox = server.unix_url }).messages:create(traffic.message(1)))
    assert.equal(1, new():outbox():pending())
    assert(sandbox:revive())
  end)

  it("gives up what can never be delivered, and makes it pending again", function()
    local told = {}
    local client = new {
      on_dead = function(letter)
        told[#told + 1] = letter.id
      end,
    }
    local outbox = client:outbox()
    sandbox:fault { kind = "status", status = 422, text = "No" }
    for i = 1, 3 do
      assert.is_true(client.messages:create(traffic.message(i)))
    end
    await(client, function()
      return #told == 3
    end)
    sandbox:fault(nil)
    local letters = assert(outbox:dead())
    assert.same(told, { letters[1].id, letters[2].id, letters[3].id })
    assert.equal("No", letters[1].reason)
    assert.truthy(letters[1].body:find('"id":"1"', 1, true))
    assert.equal(1, outbox:discard(letters[1].id))
    assert.equal(2, outbox:retry())
    await_delivery(client)
    local figures = check_figures(client)
    assert.same({ 0, 1, 2 }, { figures.dead, figures.discarded, figures.delivered })
  end)

  it("says why it cannot store, and keeps the password to itself", function()
    local client = new { outbox = "redis://:secret@127.0.0.1:1/0?timeout=1" }
    local ok, err = client.messages:create(traffic.message(1))
    assert.is_nil(ok)
    assert.equal("storage", err.code)
    assert.is_true(err.retryable)
    assert.truthy(err.message:find("127.0.0.1:1", 1, true), err.message)
    assert.falsy(tostring(err):find("secret", 1, true))
  end)

  it("has another process deliver at once what it stores", function()
    local deliverer = program.send { url = sandbox.http, outbox = server.url, stream = 1, rate = 0 }
    assert.equal("delivers", deliverer:read())
    local median
    for _ = 1, 3 do
      sandbox:clear()
      median = promptness.measure(new(), sandbox, 50)[25]
      if median < PROMPT then
        break
      end
    end
    deliverer:kill()
    assert.is_true(median < PROMPT, median)
  end)
end)
