--- How a program ends while requests are under way, what signals do to it, and what it holds in
-- memory. Each program is one of its own; the sandbox says what arrived.
local programs = require "spec.support.programs"
local shell = require "spec.support.shell"

local CLOSES = shell.lua ~= "lua5.1" -- `os.exit(true, true)` closes the state

local forking, host = programs.forking, programs.host
local run, succeed = programs.run, programs.succeed
local arrived, check_arrived = programs.arrived, programs.check_arrived

local function is_abandoned(source_id)
  return source_id == "abandoned"
end

describe("#house a program", function()
  setup(programs.start)
  teardown(programs.stop)
  before_each(programs.clear)

  describe("that ends with requests under way", function()
    local under_way = [[
      local client = new(arguments[1], { base_url = https, ca_file = ca_file, close_timeout = %s })
      for i = 1, 10 do
        assert(client.messages:create(message("m" .. i), no))
      end
    ]]

    local function ends(close_timeout, text, source_id)
      return run(shell.lua, under_way:format(close_timeout) .. text, source_id or "late")
    end

    -- At any moment, in the midst of a TLS handshake too: exit(3) takes OpenSSL apart.
    it("by os.exit: at once, with its status", function()
      for milliseconds = 1, 25 do
        local result = run(shell.lua, [[
          local core = require "sendapi.core"
          local over = core.now() + arguments[1] / 1000
          local options = { base_url = https, ca_file = ca_file, connections = 64 }
          local client = new("abandoned", options)
          for i = 1, 200 do
            client.messages:create(message(i), no)
          end
          repeat
          until core.now() >= over
          os.exit(7)
        ]], milliseconds)
        assert.equal(7, result.status, result.errors)
        assert.equal("", result.errors)
        assert.is_true(result.seconds < 20)
      end
    end)

    it("by os.exit that closes: after delivery", function()
      if not CLOSES then
        pending "this Lua's os.exit does not close"
        return
      end
      local result = ends(30, "os.exit(7, true)")
      assert.equal(7, result.status, result.errors)
      assert.equal("", result.errors)
      check_arrived({ "m" }, 10)
    end)

    it("by its last line: after delivery", function()
      succeed(ends(30, ""))
      check_arrived({ "m" }, 10)
    end)

    it("while a coroutine closes: after delivery", function()
      succeed(run(shell.lua, [[
        local client = new("late", { runtime = "tick", connections = 1 })
        for i = 1, 3 do
          client.messages:create(message("m" .. i), no)
        end
        coroutine.wrap(function()
          client:close()
        end)()
      ]]))
      check_arrived({ "m" }, 3)
    end)

    it("by an error: after delivery", function()
      local result = ends(30, "error('oh dear')")
      assert.equal(1, result.status)
      assert.truthy(result.errors:find("oh dear", 1, true))
      check_arrived({ "m" }, 10)
    end)

    it("in a callback or a coroutine: with its status", function()
      local exit = CLOSES and "os.exit(7, true)" or "os.exit(7)"
      local ways = {
        "client.messages:create(message 'last', function() %s end) client:flush()",
        "coroutine.wrap(function() client.messages:create(message 'last') %s end)()",
        "coroutine.wrap(function() client:close() %s end)()",
      }
      for _, way in ipairs(ways) do
        local result = ends(1, way:format(exit), "abandoned")
        assert.equal(7, result.status, result.errors)
        assert.equal("", result.errors)
        assert.is_true(result.seconds < 20)
      end
    end)

    it("that do not end: after close_timeout", function()
      for _, way in ipairs { "error('oh dear')", CLOSES and "os.exit(1, true)" or "error('no')" } do
        local result = ends(0.3, way, "stuck")
        assert.equal(1, result.status, result.errors)
        assert.is_true(result.seconds >= 0.3 and result.seconds < programs.STUCK)
      end
    end)
  end)

  describe("that is signalled all the time", function()
    it("sees no failure, and handles the signals on its own thread", function()
      succeed(run(host "host" .. " 1", [[
        local client = new("late")
        host.signal_often()
        for i = 1, 50 do
          assert(client.messages:create(message("m" .. i), no))
        end
        assert(client.messages:create(message("m51")))
        assert(client:flush(30))
        local nowhere = new("plain", { base_url = "https://nowhere.invalid", retry = false })
        for i = 1, 20 do -- each has libcurl make a thread, on behalf of this one
          assert(not nowhere.messages:create(message(i), { deadline = 0.3 }))
        end
        local handled, elsewhere = host.signals()
        assert(handled > 100, handled)
        assert(elsewhere == 0, elsewhere)
        assert(client:stats().delivered == 51)
        assert(client:stats().retries == 0)
      ]]))
      check_arrived({ "m" }, 51)
    end)

    it("is not ended by a peer that hangs up in the middle", function()
      succeed(run(shell.lua, [[
        local options = { base_url = https, ca_file = ca_file, retry = false, connections = 1 }
        local client = new("unheard", options)
        for i = 1, 10 do
          local params = message(i)
          params.body = ("awesome "):rep(500000)
          local ok, err = client.messages:create(params)
          assert(not ok and err.code == "connection_closed", tostring(err))
        end
      ]]))
    end)

    it("is not ended by a peer that is not there", function()
      succeed(run(shell.lua, [[
        local client = new("plain", { base_url = "http://127.0.0.1:1", retry = false })
        for i = 1, 20 do
          local _, err = client.messages:create(message(i))
          assert(err.code == "connection_refused", tostring(err))
        end
      ]]))
    end)
  end)

  describe("that queues for a dead server", function()
    local LONG = os.getenv "SENDAPI_LONG" == "1"
    local COUNT = programs.IS_SANITIZED and 10000 or LONG and 1000000 or 100000
    local MOST = 1024 -- bytes of memory for each message, beside its body

    it("is bounded in memory, and closes promptly", function()
      local result = succeed(run(shell.lua, [[
        local count = tonumber(arguments[1])
        local client = new("plain", {
          base_url = "http://127.0.0.1:1",
          max_pending = count,
          max_pending_bytes = 2 ^ 33,
          deadline = 600,
        })
        local closed = 0
        local function note(_, err)
          closed = closed + (err.code == "closed" and 1 or 0)
        end

        local function resident()
          collectgarbage()
          collectgarbage()
          for line in io.lines "/proc/self/status" do
            local kilobytes = line:match "^VmRSS:%s+(%d+)"
            if kilobytes then
              return kilobytes * 1024
            end
          end
        end

        assert(client.messages:create(message(1), note))
        local before = resident()
        for i = 2, count do
          assert(client.messages:create(message(i, i % 1000), note))
        end
        local each = (resident() - before) / count
        local stats = client:stats()
        assert(stats.pending == count)
        local _, err = client.messages:create(message(count + 1), note)
        assert(err.code == "queue_full")
        local began = os.clock()
        assert(client:close(0))
        local seconds = os.clock() - began
        stats = client:stats()
        assert(stats.failed == count and stats.pending == 0 and closed == count)
        print(("%.0f %.3f"):format(each - stats.bytes / count, seconds))
      ]], COUNT))
      local each, seconds = result.output:match "^(%d+) ([%d.]+)\n$"
      local is_little = programs.IS_SANITIZED or tonumber(each) <= MOST
      assert.is_true(is_little, each .. " bytes for each message")
      assert.is_true(tonumber(seconds) < (LONG and 30 or 10))
    end)
  end)

  -- A thread of libcurl's resolver, which nobody waits for, may be at work yet.
  describe("that closes its state", function()
    it("while the thread works: the library stays, and is used again", function()
      local result = succeed(run(host "host" .. " 12", [[
        local round = arguments[1]
        local client = new(round % 3 == 0 and "stuck" or "abandoned", {
          base_url = round % 2 == 0 and https or nil,
          ca_file = ca_file,
          close_timeout = 0,
        })
        for i = 1, 200 do
          assert(client.messages:create(message(round .. "." .. i), no))
        end
        if round % 4 == 0 then
          client:flush(0.02)
        end
      ]]))
      assert.equal(("loaded\n"):rep(12), result.output)
      for id, count in pairs(arrived(is_abandoned)) do
        assert.equal(1, count, id)
      end
    end)

    it("and forks afterwards", function()
      succeed(run(forking .. host "host" .. " 2", [[
        local client = new("plain")
        assert(client.messages:create(message("a" .. arguments[1])))
        local pid = host.fork()
        if pid == 0 then
          assert(client.messages:create(message("b" .. arguments[1])))
          os.exit(0)
        end
        assert(host.wait(pid) == 0)
      ]]))
      check_arrived({ "a", "b" }, 2)
    end)
  end)
end)
