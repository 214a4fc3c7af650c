--- What a program does to its processes and threads while requests are under way: states, forks,
-- exits, signals, unloading. Each program is one of its own; the sandbox says what arrived.
local core = require "sendapi.core"
local sandboxes = require "spec.support.sandbox"
local send_api = require "spec.support.send_api"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local TOKEN = send_api.token
local LUA = rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match "%d%.%d"
local CORE = package.searchpath and package.searchpath("sendapi.core", package.cpath) or ""
local IS_SANITIZED = CORE:find("/sanitized/", 1, true) ~= nil
local CLOSES = LUA ~= "lua5.1" -- `os.exit(true, true)` closes the state

-- A child abandons what is its parent's: that is no leak.
local forking = "env ASAN_OPTIONS=detect_leaks=0 "

-- What every program begins with. Its arguments: the sandbox's urls, and what else is said.
local PRELUDE = [[
local http, https, ca_file, token = ...
local arguments = { select(5, ...) }
local sendapi = require "sendapi"

local function new(source_id, options)
  options = options or {}
  options.base_url = options.base_url or http
  return sendapi.client(source_id, token, options)
end

local function message(id, thread_id)
  return {
    id = id,
    thread_id = thread_id or id,
    author = { id = "666", created_at = 0, screenname = "John Doe" },
    body = "Awesome post !",
  }
end

local function no() end

local engine = require "sendapi.engine"

-- Until every callback of the client is due.
local function take_all(client)
  while client:stats().pending > 0 do
    engine.get():wait(1)
    engine.collect()
  end
end
]]

describe("#house a program", function()
  local directory, sandbox

  setup(function()
    directory = temporary.directory()
    sandbox = sandboxes.start {
      sources = {
        plain = { token = TOKEN },
        late = { token = TOKEN, fault = { kind = "delay", seconds = 0.2 } },
        stuck = { token = TOKEN, fault = { kind = "delay", seconds = 20 } },
        abandoned = { token = TOKEN, fault = { kind = "delay", seconds = 0.05 } },
        unheard = { token = TOKEN, fault = { kind = "reset", at = "before" } },
      },
    }
  end)

  teardown(function()
    sandbox:stop()
    directory:remove()
  end)

  before_each(function()
    sandbox:clear()
  end)

  --- Compiles a host, once. Next to a core with sanitizers it has them too.
  local function host(name)
    local path = directory:path_of(name)
    local file = io.open(path)
    if file then
      file:close()
      return path
    end
    local command = "cc -std=c11 -D_POSIX_C_SOURCE=200809L -pthread -O1 -g -Wall -Wextra "
      .. "-Wpedantic -Wshadow -Wstrict-prototypes -Wconversion -Werror %s "
      .. "$(pkg-config --cflags %s) -o %s spec/hosts/%s.c $(pkg-config --libs %s)"
    local sanitizers = IS_SANITIZED and "-fsanitize=address,undefined" or ""
    local result = shell.run(command:format(sanitizers, LUA, shell.quote(path), name, LUA))
    assert.equal(0, result.status, result.errors)
    return path
  end

  --- Runs a script by a command, and says how long it took.
  local function run(command, text, ...)
    local words = { command, shell.quote(directory:write("program.lua", PRELUDE .. text)) }
    for _, argument in ipairs { sandbox.http, sandbox.https, sandbox.ca_file, TOKEN, ... } do
      words[#words + 1] = shell.quote(argument)
    end
    local began = core.now()
    local result = shell.run("timeout 60 " .. table.concat(words, " "))
    result.seconds = core.now() - began
    return result
  end

  --- Checks that a program ended as it should.
  local function succeed(result)
    assert.equal(0, result.status, result.errors)
    assert.equal("", result.errors)
    return result
  end

  --- How often each id arrived.
  local function arrived(is_wanted)
    local counts = {}
    for _, entry in ipairs(sandbox:received()) do
      if is_wanted(entry.source_id) then
        counts[entry.params.id] = (counts[entry.params.id] or 0) + 1
      end
    end
    return counts
  end

  -- What a program abandons may arrive when it is gone.
  local function is_waited_for(source_id)
    return source_id == "plain" or source_id == "late"
  end

  local function is_abandoned(source_id)
    return source_id == "abandoned"
  end

  --- Checks that the ids with these prefixes arrived, once each, and nothing else.
  local function check_arrived(prefixes, count)
    local expected = {}
    for _, prefix in ipairs(prefixes) do
      for i = 1, count do
        expected[prefix .. i] = 1
      end
    end
    assert.same(expected, arrived(is_waited_for))
  end

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
          assert(client:flush(5))
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
          assert(client:flush(5))
          assert(outcomes == 12, outcomes)
          host.quit(0)
        end
        assert(client:flush(5))
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
          assert(client:flush(5))
          stats = client:stats()
          assert(stats.pending == 0 and stats.pending_bytes == 0)
          assert(stats.accepted == stats.delivered + stats.refused + stats.failed)
          host.quit(0)
        end
        assert(client:flush(5))
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
        assert(client:flush(5))
        assert(calls[1] == 1 and calls[2] == 1)
        assert(host.wait(pid) == 0, "the child failed")
      ]]
      assert.same({
        ["parent 1"] = 1,
        ["parent 2"] = 1,
        ["parent 3"] = 1,
        ["child 1"] = 1,
      }, arrived(is_waited_for))
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
        assert(client:flush(5))
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
        assert(client:flush(5))
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
          assert(client:flush(5))
          assert(of_parent == 0 and of_child == 3)
          host.quit(0)
        end
        assert(client:flush(5))
        assert(of_parent == 3 and of_child == 0)
        assert(host.wait(pid) == 0, "the child failed")
      ]]
      check_arrived({ "parent ", "child " }, 3)
    end)

    it("shares an outbox with its child", function()
      local path = shell.quote(directory:path_of "outbox.db")
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
        local client = new("late", { connections = 2 })
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
        assert(os.time() - began < 3, "the children hang")
        assert(client:flush(5))
      ]]
      assert.is_true(result.seconds < 4)
      check_arrived({ "parent " }, 6)
    end)
  end)

  describe("that ends with requests under way", function()
    local under_way = [[
      local client = new(arguments[1], { base_url = https, ca_file = ca_file, close_timeout = %s })
      for i = 1, 10 do
        assert(client.messages:create(message("m" .. i), no))
      end
    ]]

    local function ends(close_timeout, text, source_id)
      return run(LUA, under_way:format(close_timeout) .. text, source_id or "late")
    end

    -- At any moment, in the midst of a TLS handshake too: exit(3) takes OpenSSL apart.
    it("by os.exit: at once, with its status", function()
      for milliseconds = 1, 25 do
        local result = run(LUA, [[
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
        assert.is_true(result.seconds < 2)
      end
    end)

    it("by os.exit that closes: after delivery", function()
      if not CLOSES then
        pending "this Lua's os.exit does not close"
        return
      end
      local result = ends(5, "os.exit(7, true)")
      assert.equal(7, result.status, result.errors)
      assert.equal("", result.errors)
      check_arrived({ "m" }, 10)
    end)

    it("by its last line: after delivery", function()
      succeed(ends(5, ""))
      check_arrived({ "m" }, 10)
    end)

    it("while a coroutine closes: after delivery", function()
      succeed(run(LUA, [[
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
      local result = ends(5, "error('oh dear')")
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
        assert.is_true(result.seconds < 3)
      end
    end)

    it("that do not end: after close_timeout", function()
      for _, way in ipairs { "error('oh dear')", CLOSES and "os.exit(1, true)" or "error('no')" } do
        local result = ends(0.3, way, "stuck")
        assert.equal(1, result.status, result.errors)
        assert.is_true(result.seconds >= 0.3 and result.seconds < 2.5)
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
        assert(client:flush(5))
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
      succeed(run(LUA, [[
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
      succeed(run(LUA, [[
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
    local COUNT = IS_SANITIZED and 10000 or LONG and 1000000 or 100000
    local MOST = 1024 -- bytes of memory for each message, beside its body

    it("is bounded in memory, and closes promptly", function()
      local result = succeed(run(LUA, [[
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
      assert.is_true(IS_SANITIZED or tonumber(each) <= MOST, each .. " bytes for each message")
      assert.is_true(tonumber(seconds) < (LONG and 30 or 5))
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
