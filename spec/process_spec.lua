--- What becomes of requests under way when a program has several states, or forks. Each program is
-- one of its own; the sandbox says what arrived.
local programs = require "spec.support.programs"
local shell = require "spec.support.shell"

local forking, host = programs.forking, programs.host
local run, succeed = programs.run, programs.succeed
local arrived, check_arrived = programs.arrived, programs.check_arrived

describe("#house a program", function()
  setup(programs.start)
  teardown(programs.stop)
  before_each(programs.clear)

  describe("with several states", function()
    it("has an engine in each, which comes and goes by itself", function()
      local text = [[
        local thread, round = arguments[1], arguments[2]
        local client = new("plain")
        local delivered = 0
        for i = 1, 10 do
          assert(client.messages:create(message(thread .. "." .. round .. "." .. i), function(ok)
            delivered = delivered + (ok and 1 or 0)
          end))
        end
        assert(client.messages:create(message(thread .. "." .. round .. ".11")))
        if round % 2 == 1 then -- else the state's end sees to it
          assert(client:flush(30))
          assert(delivered == 10)
        end
      ]]
      succeed(run(host "states" .. " 8 6", text))
      local prefixes = {}
      for thread = 1, 8 do
        for round = 1, 6 do
          prefixes[#prefixes + 1] = thread .. "." .. round .. "."
        end
      end
      check_arrived(prefixes, 11)
    end)
  end)

  describe("that forks", function()
    local function forks(text)
      return succeed(run(forking .. host "host" .. " 1", text))
    end

    it("before its first call: both deliver", function()
      forks [[
        local client = new("plain")
        local pid = host.fork()
        local prefix = pid == 0 and "child " or "parent "
        for i = 1, 20 do
          assert(client.messages:create(message(prefix .. i)))
        end
        assert(client:stats().delivered == 20)
        assert(client:close())
        if pid == 0 then
          host.quit(0)
        end
        assert(host.wait(pid) == 0)
      ]]
      check_arrived({ "parent ", "child " }, 20)
    end)

    it("with requests under way: each delivers its own, and nothing twice", function()
      forks [[
        local client = new("late", { connections = 4 })
        local outcomes = 0
        for i = 1, 12 do
          client.messages:create(message("parent " .. i, i % 6), function(ok)
            outcomes = outcomes + (ok and 1 or 100)
          end)
        end
        client:flush(0.1)
        local pid = host.fork()
        if pid == 0 then
          outcomes = 0
          for i = 1, 12 do
            assert(client.messages:create(message("child " .. i, i % 6), function(ok)
              outcomes = outcomes + (ok and 1 or 100)
            end))
          end
          assert(client:flush(30))
          assert(outcomes == 12, outcomes)
          host.quit(0)
        end
        assert(client:flush(30))
        assert(outcomes == 12, outcomes)
        assert(host.wait(pid) == 0, "the child failed")
      ]]
      check_arrived({ "parent ", "child " }, 12)
    end)

    it("keeps counting: what was under way is the parent's alone", function()
      forks [[
        local client = new("late", { max_pending = 3 })
        for i = 1, 3 do
          client.messages:create(message("parent " .. i), no)
        end
        local pid = host.fork()
        if pid == 0 then
          for i = 1, 3 do
            assert(client.messages:create(message("child " .. i), no))
          end
          local stats = client:stats()
          assert(stats.pending == 3, stats.pending)
          assert(stats.accepted == stats.delivered + stats.refused + stats.failed + stats.pending)
          assert(client:flush(30))
          stats = client:stats()
          assert(stats.pending == 0 and stats.pending_bytes == 0)
          assert(stats.accepted == stats.delivered + stats.refused + stats.failed)
          host.quit(0)
        end
        assert(client:flush(30))
        assert(client:stats().delivered == 3)
        assert(host.wait(pid) == 0, "the child failed")
      ]]
      check_arrived({ "parent ", "child " }, 3)
    end)

    it("calls no function of the parent's in the child, nor waits for its answers", function()
      forks [[
        local client = new("plain")
        local calls = { 0, 0 }
        client.messages:create(message("parent 1"), function()
          calls[1] = calls[1] + 1
        end)
        new("plain").messages:create(message("parent 2")) -- takes what has come for all
        client.messages:create(message("parent 3", 1), function()
          calls[2] = calls[2] + 1
        end)
        local pid = host.fork()
        if pid == 0 then
          assert(client:pollfd())
          assert(client:poll() == 0)
          assert(client:stats().pending == 0)
          assert(not engine.is_busy())
          assert(client:flush(0))
          assert(client.messages:create(message("child 1")))
          assert(calls[1] == 0 and calls[2] == 0)
          host.quit(0)
        end
        assert(client:flush(30))
        assert(calls[1] == 1 and calls[2] == 1)
        assert(host.wait(pid) == 0, "the child failed")
      ]]
      assert.same({
        ["parent 1"] = 1,
        ["parent 2"] = 1,
        ["parent 3"] = 1,
        ["child 1"] = 1,
      }, arrived(programs.is_waited_for))
    end)

    it("calls none of them in the child that were due, whoever was told of them", function()
      forks [[
        local client = new("plain")
        local calls = 0
        for i = 1, 3 do
          client.messages:create(message("parent " .. i, 1), function()
            calls = calls + 1
          end)
        end
        take_all(client)
        engine.each_due(no)
        local pid = host.fork()
        if pid == 0 then
          assert(client:poll() == 0 and calls == 0)
          assert(client:flush(0) and calls == 0)
          assert(not engine.is_busy())
          host.quit(0)
        end
        assert(client:flush(30))
        assert(calls == 3)
        assert(host.wait(pid) == 0, "the child failed")
      ]]
    end)

    it("in a callback: the child goes on without the parent's others", function()
      forks [[
        local client = new("plain")
        local calls, pid = 0, nil
        for i = 1, 3 do
          client.messages:create(message("parent " .. i, 1), function()
            calls = calls + 1
            pid = pid or host.fork()
          end)
        end
        take_all(client)
        assert(client:flush(30))
        if pid == 0 then
          host.quit(calls == 1 and 0 or 1)
        end
        assert(calls == 3)
        assert(host.wait(pid) == 0, "the child failed")
      ]]
    end)

    it("figures nothing of the parent's in the child", function()
      forks [[
        local client = new("plain")
        assert(client.messages:create(message("parent 1")))
        assert(sendapi.prometheus():find('sendapi_accepted_total{source="plain"} 1', 1, true))
        local pid = host.fork()
        if pid == 0 then
          assert(sendapi.prometheus():find('sendapi_accepted_total{source="plain"} 0', 1, true))
          host.quit(0)
        end
        assert(host.wait(pid) == 0, "the child failed")
      ]]
    end)

    it("calls the child's own function when a call is the first thing it does", function()
      forks [[
        local client = new("plain")
        local of_parent, of_child = 0, 0
        for i = 1, 3 do
          client.messages:create(message("parent " .. i), function()
            of_parent = of_parent + 1
          end)
        end
        local pid = host.fork()
        if pid == 0 then
          for i = 1, 3 do
            assert(client.messages:create(message("child " .. i), function(ok)
              of_child = of_child + (ok and 1 or 0)
            end))
          end
          assert(client:flush(30))
          assert(of_parent == 0 and of_child == 3)
          host.quit(0)
        end
        assert(client:flush(30))
        assert(of_parent == 3 and of_child == 0)
        assert(host.wait(pid) == 0, "the child failed")
      ]]
      check_arrived({ "parent ", "child " }, 3)
    end)

    it("shares an outbox with its child", function()
      local path = shell.quote(programs.path_of "outbox.db")
      forks(("local path = %s\n"):format(path) .. [[
        local client = new("plain", { outbox = path })
        local function store(prefix)
          for i = 1, 3 do
            assert(client.messages:create(message(prefix .. i)))
          end
        end
        local function await_delivery()
          repeat
            local pending = assert(client:outbox():pending())
          until pending == 0
        end
        store "parent "
        local pid = host.fork()
        if pid == 0 then
          assert(client:stats().stored == 0)
          store "child "
          assert(client:stats().stored == 3)
          await_delivery()
          client:close()
          host.quit(0)
        end
        assert(host.wait(pid) == 0, "the child failed")
        await_delivery()
        assert(client:stats().stored == 3)
        store "later "
        await_delivery()
      ]])
      check_arrived({ "parent ", "child ", "later " }, 3)
    end)

    it("and whose child ends without a call: at once, sending nothing", function()
      local result = forks [[
        local client = new("late", { connections = 2, close_timeout = 40 })
        for i = 1, 6 do
          client.messages:create(message("parent " .. i), no)
        end
        client:flush(0.05)
        local children = {}
        for i = 1, 3 do
          children[i] = host.fork()
          if children[i] == 0 then
            if i == 1 then
              os.exit(3)
            elseif i == 2 then
              os.exit(3, true)
            end
            client:close()
            host.quit(3)
          end
        end
        local began = os.time()
        for _, pid in ipairs(children) do
          assert(host.wait(pid) == 3)
        end
        assert(os.time() - began < 20, "the children hang")
        assert(client:flush(30))
      ]]
      assert.is_true(result.seconds < 35)
      check_arrived({ "parent " }, 6)
    end)
  end)
end)
