--- Calls that do not wait, against a real nginx: callbacks, poll, flush, close, figures.
local clients = require "spec.support.clients"
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"
local traffic = require "spec.support.traffic"

local PATIENCE = 30 -- seconds, at most

local function message(id, thread_id)
  return send_api.params(id, thread_id or "42")
end

describe("a call with a function", function()
  local own = clients.of(traffic.sources {
    plain = {},
    late = { fault = { kind = "delay", seconds = 0.3 } },
    slow = { fault = { kind = "delay", seconds = 3 } },
    stuck = { fault = { kind = "delay", seconds = 20 } },
    busy = { fault = { kind = "status", status = 503, text = "Down" } },
  })
  local sandbox

  setup(function()
    sandbox = own.start()
  end)
  teardown(own.stop)
  before_each(own.clear)
  after_each(own.close)

  local function new(source_id, options)
    return own.new(source_id or "plain", options)
  end

  local function check_invariant(client)
    local stats = client:stats()
    assert.equal(stats.accepted, stats.delivered + stats.refused + stats.failed + stats.pending)
    return stats
  end

  --- Polls until a condition holds; at most some seconds.
  local function poll_until(client, condition, seconds)
    local deadline = core.now() + (seconds or PATIENCE)
    while not condition() do
      assert.is_true(core.now() < deadline, "nothing came")
      client:poll()
    end
  end

  it("returns at once, and calls from poll", function()
    local client = new "slow"
    local outcomes = {}
    local start = core.now()
    assert.is_true(client.messages:create(message(1), function(ok, err)
      outcomes[#outcomes + 1] = { ok = ok, err = err }
    end))
    assert.is_true(core.now() - start < 2)
    assert.equal(0, client:poll())
    assert.same({}, outcomes)
    assert.equal(1, check_invariant(client).pending)
    poll_until(client, function()
      return #outcomes > 0
    end)
    assert.same({ { ok = true } }, outcomes)
    assert.equal(1, check_invariant(client).delivered)
  end)

  it("hands the error to the function", function()
    local client = new("busy", { retry = false })
    local ok, err = "none", nil
    client.messages:create(message(1), function(...)
      ok, err = ...
    end)
    assert.is_true(client:flush(PATIENCE))
    assert.is_nil(ok)
    assert.equal("server_error", err.code)
    assert.equal(503, err.status)
    assert.equal(1, check_invariant(client).failed)
  end)

  it("refuses at once what it does not accept, without calling", function()
    local client = new()
    local called = false
    local ok, err = client.messages:create({ id = "1" }, function()
      called = true
    end)
    assert.is_nil(ok)
    assert.equal("invalid_params", err.code)
    assert.is_true(client:flush(1))
    assert.is_false(called)
    assert.equal(0, check_invariant(client).accepted)
  end)

  it("delivers each of many exactly once", function()
    local client = new()
    local outcomes = {}
    for i = 1, 500 do
      assert.is_true(client.messages:create(message(i, i % 50), function(ok)
        outcomes[i] = (outcomes[i] or 0) + (ok and 1 or 100)
      end))
      check_invariant(client)
    end
    assert.is_true(client:flush(PATIENCE))
    for i = 1, 500 do
      assert.equal(1, outcomes[i])
    end
    assert.equal(500, #sandbox:received())
    local stats = check_invariant(client)
    assert.equal(500, stats.delivered)
    assert.equal(0, stats.pending_bytes)
    assert.equal(500, stats.latency.count)
    assert.is_true(stats.latency.p50 > 0 and stats.latency.p50 <= stats.latency.p90)
    assert.is_true(stats.latency.p90 <= stats.latency.p99)
    assert.is_true(stats.latency.p99 <= stats.latency.max)
  end)

  it("keeps the order within a conversation", function()
    local client = new("plain", { connections = 32 })
    for i = 1, 600 do
      client.messages:create(message(i, i % 7), function() end)
    end
    assert.is_true(client:flush(PATIENCE))
    local last = {}
    for _, entry in ipairs(sandbox:received()) do
      local thread, id = entry.params.thread_id, tonumber(entry.params.id)
      assert.is_true(id > (last[thread] or 0))
      last[thread] = id
    end
  end)

  it("puts both directions of a private conversation in one order, and on demand others", function()
    local client = new("plain", { connections = 32 })
    local function user(id)
      return { id = id, created_at = 0, screenname = "User" }
    end
    for i = 1, 100 do
      local from, to = i % 2 == 0 and "a" or "b", i % 2 == 0 and "b" or "a"
      client.private_messages:create(
        { id = i, author = user(from), recipient = user(to), body = "x" },
        function() end
      )
    end
    for i = 101, 200 do
      client.messages:create(message(i, i), { lane = 42 }, function() end)
    end
    assert.is_true(client:flush(PATIENCE))
    local last = { ["private_messages.create"] = 0, ["messages.create"] = 100 }
    for _, entry in ipairs(sandbox:received()) do
      assert.equal(last[entry.action] + 1, tonumber(entry.params.id))
      last[entry.action] = last[entry.action] + 1
    end
  end)

  it("sends in parallel what has no order", function()
    local client = new("late", { connections = 32, ordered = false })
    local start = core.now()
    for i = 1, 20 do
      client.messages:create(message(i), function() end)
    end
    assert.is_true(client:flush(PATIENCE))
    assert.is_true(core.now() - start < 4) -- of six
    start = core.now()
    for i = 1, 3 do
      client.messages:create(message(i), { ordered = true }, function() end)
    end
    assert.is_true(client:flush(PATIENCE))
    assert.is_true(core.now() - start > 0.85)
  end)

  it("is bounded: queue_full, at once", function()
    local client = new("stuck", { max_pending = 3 })
    for i = 1, 3 do
      assert.is_true(client.messages:create(message(i), function() end))
    end
    local ok, err = client.messages:create(message(4), function() end)
    assert.is_nil(ok)
    assert.equal("queue_full", err.code)

    client = new("stuck", { max_pending_bytes = 400 })
    assert.is_true(client.messages:create(message(1), function() end))
    assert.is_true(client.messages:create(message(2), function() end))
    ok, err = client.messages:create(message(3), function() end)
    assert.is_nil(ok)
    assert.equal("queue_full", err.code)
    assert.equal(2, check_invariant(client).pending)
  end)

  it("ends by its deadline, wherever it is", function()
    local client = new "stuck"
    local codes = {}
    local start = core.now()
    for i = 1, 3 do
      client.messages:create(message(i), { deadline = 0.3 }, function(_, err)
        codes[i] = err.code
      end)
    end
    assert.is_true(client:flush(PATIENCE))
    assert.is_true(core.now() - start < 15)
    assert.same({ "timeout", "timeout", "timeout" }, codes)
    assert.equal(3, check_invariant(client).failed)
  end)

  describe("poll", function()
    it("keeps its bounds", function()
      local client = new()
      local calls = 0
      for i = 1, 100 do
        client.messages:create(message(i, i), function()
          calls = calls + 1
        end)
      end
      poll_until(client, function()
        return #sandbox:received() == 100
      end)
      calls = calls + 0
      local before = calls
      client:poll { max = 5, seconds = 1 }
      assert.is_true(calls - before <= 5)
      client:flush(PATIENCE)
      assert.equal(100, calls)
    end)

    it("calls in the order of the answers, whoever took them, and no more than max", function()
      local client, other = new(), new()
      local ids, ran = {}, 0
      local function call(first, last)
        for id = first, last do
          client.messages:create(message(id, "one"), function()
            ids[#ids + 1] = id
          end)
        end
      end
      call(1, 3)
      for id = 101, 105 do
        assert(other.messages:create(message(id))) -- takes what has come for all
      end
      call(4, 6)
      poll_until(other, function()
        local run = client:poll { max = 1, seconds = 1 }
        assert.is_true(run <= 1)
        ran = ran + run
        assert.equal(#ids, ran)
        return ran == 6
      end)
      assert.same({ 1, 2, 3, 4, 5, 6 }, ids)
    end)

    it("goes on when a callback fails, and says so", function()
      local logged = {}
      local client = new("plain", {
        log = function(level, text)
          logged[#logged + 1] = level .. ": " .. text
        end,
      })
      local reached = false
      client.messages:create(message(1), function()
        error "oh dear"
      end)
      client.messages:create(message(2), function()
        reached = true
      end)
      poll_until(client, function()
        return reached and #logged == 1
      end)
      client.messages:create(message(3), function()
        error "oh dear"
      end)
      assert.is_true(client:flush(PATIENCE))
      assert.equal(2, #logged)
      for _, line in ipairs(logged) do
        assert.truthy(line:find("^error: a callback failed: .*oh dear"))
      end
    end)

    it("runs nothing within a callback, which may make calls", function()
      local client = new()
      local nested, second
      client.messages:create(message(1), function()
        nested = client:poll()
        client.messages:create(message(2), function(ok)
          second = ok
        end)
      end)
      poll_until(client, function()
        return second
      end)
      assert.equal(0, nested)
    end)
  end)

  describe("poll", function()
    local function count_calls(client, calls)
      return function()
        calls[#calls + 1] = client:poll()
      end
    end

    it("goes on after one that was interrupted", function()
      local client = new()
      for instructions = 1, 200 do
        pcall(function()
          debug.sethook(function()
            debug.sethook()
            error("interrupted!", 0)
          end, "", instructions)
          client:poll()
          debug.sethook()
        end)
      end
      debug.sethook()
      local calls = {}
      client.messages:create(message(1), count_calls(client, calls))
      poll_until(client, function()
        return #calls > 0
      end)
      assert.same({ 0 }, calls)
    end)

    it("goes on elsewhere while a callback of another coroutine's poll waits", function()
      if _VERSION == "Lua 5.1" and not rawget(_G, "jit") then
        return pending "Lua 5.1 cannot yield across a protected call"
      end
      local client = new()
      local calls = {}
      client.messages:create(message(1), coroutine.yield)
      engine.get():wait(5)
      local waiting = coroutine.create(function()
        return client:poll()
      end)
      assert(coroutine.resume(waiting))
      assert.equal("suspended", coroutine.status(waiting))
      client.messages:create(message(2), count_calls(client, calls))
      poll_until(client, function()
        return #calls > 0
      end)
      assert.same({ 0 }, calls)
      assert.same({ true, 1 }, { coroutine.resume(waiting) })
    end)
  end)

  describe("flush", function()
    it("says how many are left", function()
      local client = new "stuck"
      for i = 1, 4 do
        client.messages:create(message(i), function() end)
      end
      local ok, err = client:flush(0.1)
      assert.is_nil(ok)
      assert.equal("timeout", err.code)
      assert.equal(4, err.pending)
      assert.equal(4, check_invariant(client).pending)
    end)
  end)

  describe("close", function()
    it("ends what is under way with closed, within its time", function()
      local client, other = new "stuck", new()
      local codes = {}
      for i = 1, 40 do
        client.messages:create(message(i, i % 20), function(_, err)
          codes[#codes + 1] = err.code
        end)
      end
      local start = core.now()
      assert.is_true(client:close(0.1))
      assert.is_true(core.now() - start < 10)
      assert.equal(40, #codes)
      for _, code in ipairs(codes) do
        assert.equal("closed", code)
      end
      assert.is_true(client:close())
      local _, err = client.messages:create(message(1), function() end)
      assert.equal("closed", err.code)
      assert.is_true(other.messages:create(message(1)))
      assert.equal(40, check_invariant(client).failed)
    end)

    it("sends nothing again, whatever the retry function says", function()
      local asked, codes = 0, {}
      local client = sendapi.client("plain", send_api.token .. "0", {
        base_url = sandbox.http,
        retry = function()
          asked = asked + 1
          return asked > 1 and 0 or nil
        end,
      })
      local function wait()
        assert.is_true(engine.get():wait(5))
      end
      client.messages:create(message(1, 1), function(_, err)
        wait() -- for the next answer to the second, which nobody has been asked about when it ends
        codes[1] = err.code
      end)
      wait()
      client.messages:create(message(2, 2), function(_, err)
        codes[2] = err.code
      end)
      assert.is_true(client:close(0))
      assert.same({ "invalid_signature", "invalid_signature" }, codes)
      assert.equal(0, check_invariant(client).pending)
    end)

    it("happens at the end of a scope, in an error, too", function()
      if _VERSION ~= "Lua 5.4" then
        return
      end
      local client = new()
      local scope = assert(load [[
        local client <close> = ...
        error "out of here"
      ]])
      assert.is_false((pcall(scope, client)))
      local _, err = client.messages:create(message(1))
      assert.equal("closed", err.code)
    end)

    it("may happen in a callback", function()
      local client = new "late"
      local codes = {}
      client.messages:create(message(1), function()
        client:close(0)
      end)
      client.messages:create(message(2), function(ok, err)
        codes[1] = ok and "ok" or err.code
      end)
      poll_until(client, function()
        return codes[1]
      end)
      assert.equal("closed", codes[1])
    end)
  end)

  it("is refused with arguments that make no sense, at the caller's line", function()
    local client = new()
    local function refused(pattern, ...)
      local arguments = { ... }
      local ok, text = pcall(function()
        client.messages:create(message(1), (unpack or table.unpack)(arguments))
      end)
      assert.is_false(ok)
      assert.truthy(text:find("async_spec.lua:%d+: .*" .. pattern), text)
    end
    refused("expected call options or a function, got a string", "no")
    refused("expected a function as last argument, got a table", {}, {})
    refused("unknown call option 'lain', did you mean 'lane'", { lain = 1 })
    refused("'lane': expected a string or a number", { lane = {} })
    refused("'ordered': expected a boolean", { ordered = 1 })
    refused("'deadline': expected a number", { deadline = 0 })
  end)

  -- As a finalizer does that closes a client, or a hook that polls.
  it("gets its outcome though another took it before it was expected", function()
    local client = new()
    local expect, outcomes = engine.expect, {}
    engine.expect = function(...)
      assert.is_true(engine.get():wait(20))
      engine.collect()
      return expect(...)
    end
    finally(function()
      engine.expect = expect
    end)
    assert.is_true(client.messages:create(message(1), function(ok)
      outcomes[#outcomes + 1] = ok
    end))
    assert.is_true(client:flush(PATIENCE))
    assert.same({ true }, outcomes)
    assert.is_true(client.messages:create(message(2)))
  end)

  it("figures in prometheus' text", function()
    local client = new()
    assert.is_true(client.messages:create(message(1)))
    local text = sendapi.prometheus()
    assert.truthy(text:find('sendapi_delivered_total{source="plain"} %d+\n'))
    assert.truthy(text:find('# TYPE sendapi_latency_seconds summary\n', 1, true))
    for line in text:gmatch "[^\n]+" do
      assert.truthy(line:find "^# " or line:find '^[a-z_]+{[^}]*} [%d.e+-]+$', line)
    end
  end)
end)
