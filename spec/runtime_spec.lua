--- The ways in which a program waits: one contract, run against each runtime that may be here.
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local raising = require "spec.support.raising"
local sandboxes = require "spec.support.sandbox"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"
local shell = require "spec.support.shell"

local TOKEN = send_api.token
local LUA = rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match "%d%.%d"
local LATE = 0.2 -- seconds that the source "late" takes

local function optional(name)
  local found, library = pcall(require, name)
  return found and library or nil
end

local cqueues, uv = optional "cqueues", optional "luv"

local function message(id, thread_id)
  return {
    id = id,
    thread_id = thread_id or id,
    author = { id = "666", created_at = 0, screenname = "John Doe" },
    body = "Awesome post !",
  }
end

-- What the bodies of coroutines raised: a loop would swallow it.
local raised

local function guarded(body)
  return function()
    local fine, text = xpcall(body, debug.traceback)
    if not fine then
      raised[#raised + 1] = text
    end
  end
end

--- Polls until a condition holds, as a game does, and sleeps a little between two ticks.
local function tick_until(clients, condition, seconds)
  local deadline = core.now() + (seconds or 5)
  while not condition() do
    assert.is_true(core.now() < deadline, "it does not end")
    for _, client in ipairs(clients) do
      client:poll()
    end
    engine.get():wait(0.002)
  end
end

--- How a program of each kind looks: `spawn` begins a piece of work; `run` runs one, and what it
-- spawns, to the end.
local programs = {
  blocking = {
    has_library = true,
    waits_anywhere = true,
    overlaps = false,
    spawn = function(body)
      guarded(body)()
    end,
    run = function(body, clients)
      guarded(body)()
      for _, client in ipairs(clients) do
        assert(client:flush(5))
      end
    end,
  },
  tick = {
    has_library = true,
    overlaps = true,
    spawn = function(body)
      coroutine.wrap(guarded(body))()
    end,
    run = function(body, clients)
      local over = false
      coroutine.wrap(guarded(function()
        body()
        over = true
      end))()
      tick_until(clients, function()
        return (over or raised[1]) and not engine.is_busy()
      end)
    end,
  },
  cqueues = {
    has_library = cqueues ~= nil,
    overlaps = true,
    waits_in_callbacks = true,
    spawn = function(body)
      cqueues.running():wrap(guarded(body))
    end,
    run = function(body)
      local loop = cqueues.new()
      loop:wrap(guarded(body))
      assert(loop:loop())
    end,
  },
  luv = {
    has_library = uv ~= nil,
    overlaps = true,
    waits_in_callbacks = true,
    spawn = function(body)
      coroutine.wrap(guarded(body))()
    end,
    run = function(body)
      coroutine.wrap(guarded(body))()
      uv.run()
    end,
  },
}

local sandbox
local clients, logged

local function new_client(source_id, options)
  options = options or {}
  options.base_url = sandbox.http
  options.log = options.log or function(level, text)
    logged[#logged + 1] = level .. ": " .. text
  end
  clients[#clients + 1] = sendapi.client(source_id or "plain", TOKEN, options)
  return clients[#clients]
end

local function start()
  sandbox = sandboxes.start {
    sources = {
      plain = { token = TOKEN },
      wrong = { token = "another" },
      late = { token = TOKEN, fault = { kind = "delay", seconds = LATE } },
      stuck = { token = TOKEN, fault = { kind = "delay", seconds = 20 } },
      busy = { token = TOKEN, fault = { kind = "status", status = 503, text = "Down" } },
    },
  }
end

local function stop()
  sandbox:stop()
end

local function begin()
  clients, logged, raised = {}, {}, {}
end

--- Whatever a test left is closed; what its coroutines raised fails it.
local function finish()
  for _, client in ipairs(clients) do
    client:close(0)
  end
  assert.equal(nil, raised[1])
end

--- Whether a runtime's library is here; when not, the test shows as pending.
local function is_here(name)
  if not programs[name].has_library then
    pending(name .. " is not installed")
  end
  return programs[name].has_library
end

for name, program in pairs(programs) do
  describe("#house the runtime " .. name, function()
    setup(start)
    teardown(stop)
    before_each(begin)
    after_each(finish)

    local function new(source_id, options)
      options = options or {}
      options.runtime = name
      return new_client(source_id, options)
    end

    local function run(body)
      local began = core.now()
      program.run(body, clients)
      assert.equal(nil, raised[1])
      assert.is_false(engine.is_busy())
      return core.now() - began
    end

    --- A test, which is skipped where the library is missing.
    local function test(title, body)
      it(title, function()
        if is_here(name) then
          body()
        end
      end)
    end

    test("gives the outcome to a call that waits", function()
      local plain, busy = new(), new("busy", { retry = false })
      run(function()
        assert.is_true(plain.messages:create(message(1)))
        local ok, err = busy.messages:create(message(2))
        assert.is_nil(ok)
        assert.equal("server_error", err.code)
        ok, err = plain.messages:create {}
        assert.is_nil(ok)
        assert.equal("invalid_params", err.code)
        assert.is_true(plain.messages:create(message(3)))
      end)
      assert.equal(2, plain:stats().delivered)
    end)

    test("calls a function exactly once, with the outcome", function()
      local plain, wrong = new(), new "wrong"
      local outcomes = {}
      local function note(id)
        return function(ok, err)
          outcomes[id] = (outcomes[id] or "") .. (ok and "delivered" or err.code)
        end
      end
      run(function()
        for i = 1, 40 do
          assert.is_true(plain.messages:create(message(i), note(i)))
          assert.is_true(wrong.messages:create(message(i), note(-i)))
        end
      end)
      for i = 1, 40 do
        assert.equal("delivered", outcomes[i])
        assert.equal("invalid_signature", outcomes[-i])
      end
    end)

    test("lets many wait at once, of two clients", function()
      local one, other = new "late", new "late"
      local done = 0
      local seconds = run(function()
        for i = 1, 6 do
          program.spawn(function()
            local client = i % 2 == 0 and one or other
            assert.is_true(client.messages:create(message(i)))
            done = done + 1
          end)
        end
      end)
      assert.equal(6, done)
      assert.equal(program.overlaps, seconds < 4 * LATE)
    end)

    test("goes on when a function fails, and logs it", function()
      local client = new()
      local reached = 0
      run(function()
        for i = 1, 3 do
          client.messages:create(message(i), function()
            reached = reached + 1
            error(i == 1 and "oh dear" or setmetatable({}, { __tostring = error }))
          end)
        end
        assert.is_true(client.messages:create(message(4)))
      end)
      assert.equal(3, reached)
      assert.equal(3, #logged)
      assert.truthy(table.concat(logged):find("error: a callback failed: .*oh dear"))
    end)

    test("goes on when even the log fails", function()
      local client = new("plain", { log = error })
      local reached = 0
      run(function()
        for i = 1, 3 do
          client.messages:create(message(i), function()
            reached = reached + 1
            error "oh dear"
          end)
        end
      end)
      assert.equal(3, reached)
    end)

    test("lets a function make calls", function()
      local client = new()
      local codes = {}
      run(function()
        client.messages:create(message(1), function()
          client.messages:create(message(2), function(ok)
            codes[1] = ok
            codes[2] = client.messages:create(message(3))
          end)
        end)
      end)
      assert.is_true(codes[1])
      if program.waits_anywhere or program.waits_in_callbacks then
        assert.same({}, logged)
        assert.is_true(codes[2])
      else
        assert.truthy(logged[1]:find("runtime_spec.lua:%d+: in the %l+ runtime a call waits only"))
      end
    end)

    test("delays no function by one that waits", function()
      local plain, stuck = new(), new("stuck", { deadline = 0.5 })
      local order = {}
      run(function()
        for i = 1, 3 do
          plain.messages:create(message(i, 1), function()
            if i == 1 and program.waits_in_callbacks then
              stuck.messages:create(message(9))
            end
            order[#order + 1] = i
          end)
        end
      end)
      assert.same(program.waits_in_callbacks and { 2, 3, 1 } or { 1, 2, 3 }, order)
    end)

    test("forgets a client that nobody uses any more", function()
      local function is_there(source_id)
        return sendapi.prometheus():find(('source="%s"'):format(source_id), 1, true) ~= nil
      end
      run(function()
        local client = new "wrong"
        client.messages:create(message(1), function() end)
        assert.is_true(client:flush(5))
        assert.is_true(is_there "wrong")
      end)
      clients = {}
      collectgarbage()
      collectgarbage()
      assert.is_false(is_there "wrong")
    end)

    -- As a finalizer takes it that closes a client, or a hook that polls.
    test("gives an outcome that was there before it was waited for", function()
      local client = new()
      local expect = engine.expect
      engine.expect = function(...)
        assert.is_true(engine.get():wait(20))
        engine.collect()
        return expect(...)
      end
      finally(function()
        engine.expect = expect
      end)
      local done
      run(function()
        done = client.messages:create(message(1))
      end)
      assert.is_true(done)
    end)

    test("flushes from within", function()
      local client = new "late"
      local count = 0
      run(function()
        for i = 1, 5 do
          client.messages:create(message(i), function()
            count = count + 1
          end)
        end
        local ok, err = client:flush(0.05)
        assert.is_nil(ok)
        assert.equal(5, err.pending)
        assert.is_true(client:flush(5))
        assert.equal(5, count)
      end)
    end)

    test("closes from within, and from a function", function()
      local late, stuck = new "late", new "stuck"
      local codes = {}
      local function note(_, err)
        codes[#codes + 1] = err and err.code
      end
      local seconds = run(function()
        for i = 1, 3 do
          stuck.messages:create(message(i), note)
        end
        late.messages:create(message(4), function()
          stuck:close(0)
        end)
        assert.is_true(late:close(5))
        assert.is_true(late:close())
        local _, err = late.messages:create(message(5))
        assert.equal("closed", err.code)
      end)
      assert.same({ "closed", "closed", "closed" }, codes)
      assert.is_true(seconds < 2)
    end)

    if not program.waits_anywhere then
      test("raises at the caller's line where nothing may wait", function()
        local client = new()
        local function refused(call)
          local text = raising.text(call)
          assert.truthy(text:find("^in the %l+ runtime a call waits only in a coroutine"))
          assert.truthy(text:find("give it a function as its last argument", 1, true))
        end
        refused(function()
          client.messages:create(message(1))
        end)
        refused(function()
          client:send("messages.create", message(1))
        end)
        assert.equal(0, client:stats().accepted)
      end)

      test("flushes where nothing else may wait", function()
        local client = new "late"
        local done
        assert.is_true(client.messages:create(message(1), function(ok)
          done = ok
        end))
        assert.is_true(client:flush(5))
        assert.is_true(done)
        assert.is_true(run(function() end) < LATE)
      end)
    end
  end)
end

for _, name in ipairs { "tick", "luv" } do
  local program = programs[name]

  describe("#house a coroutine that waits, in the runtime " .. name, function()
    setup(start)
    teardown(stop)
    before_each(begin)
    after_each(finish)

    local function test(title, body)
      it(title, function()
        if is_here(name) then
          body(new_client("late", { runtime = name }))
        end
      end)
    end

    local function run(body)
      program.run(body, clients)
    end

    test("is not deceived by others that resume it", function(client)
      local outcomes = {}
      local waiting = coroutine.create(guarded(function()
        outcomes[#outcomes + 1] = client.messages:create(message(1))
        assert.equal("meant", coroutine.yield "done")
        outcomes[#outcomes + 1] = "resumed"
      end))
      run(function()
        assert.is_true(coroutine.resume(waiting))
        for _ = 1, 3 do
          assert.is_true(coroutine.resume(waiting, "not meant"))
          assert.equal("suspended", coroutine.status(waiting))
        end
        assert.same({}, outcomes)
      end)
      assert.same({ true }, outcomes)
      assert.is_true(coroutine.resume(waiting, "meant"))
      assert.same({ true, "resumed" }, outcomes)
    end)

    test("is not deceived while it flushes", function(client)
      local flushed
      local flushing = coroutine.create(guarded(function()
        client.messages:create(message(1), function() end)
        flushed = client:flush(5)
      end))
      run(function()
        assert.is_true(coroutine.resume(flushing))
        for _ = 1, 3 do
          assert.is_true(coroutine.resume(flushing))
        end
        assert.is_nil(flushed)
      end)
      assert.is_true(flushed)
    end)

    test("may fail afterwards: that is logged, and stops nothing", function(client)
      local reached
      run(function()
        coroutine.wrap(function()
          client.messages:create(message(1))
          error "oh dear"
        end)()
        coroutine.wrap(function()
          reached = client.messages:create(message(2))
        end)()
      end)
      assert.is_true(reached)
      assert.equal(1, #logged)
      assert.truthy(logged[1]:find("^error: a coroutine failed: .*oh dear.*stack traceback"))
    end)

    test("may be closed meanwhile, and leaves nothing behind", function(client)
      local weak = setmetatable({}, { __mode = "k" })
      run(function()
        for i = 1, 5 do
          local waiting = coroutine.create(function()
            client.messages:create(message(i))
          end)
          weak[waiting] = true
          assert.is_true(coroutine.resume(waiting))
          if coroutine.close then
            assert.is_true(coroutine.close(waiting))
          end
        end
      end)
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
      assert.same({}, logged)
      assert.equal(5, client:stats().delivered)
    end)

    test("resumes who waits for another client, in whichever order", function(client)
      local other = new_client("plain", { runtime = name })
      local order = {}
      run(function()
        coroutine.wrap(guarded(function()
          assert.is_true(client.messages:create(message(1)))
          order[#order + 1] = "late"
          assert.is_true(other.messages:create(message(2)))
          order[#order + 1] = "both"
        end))()
        coroutine.wrap(guarded(function()
          assert.is_true(other.messages:create(message(3)))
          order[#order + 1] = "plain"
        end))()
      end)
      assert.same({ "plain", "late", "both" }, order)
    end)
  end)
end

describe("#house the option runtime", function()
  before_each(begin)

  it("refuses a name that it does not know, with a suggestion", function()
    local text = raising.text(function()
      sendapi.client("plain", TOKEN, { domain = "acme", runtime = "cqueue" })
    end)
    assert.truthy(text:find("there is no 'cqueue', did you mean 'cqueues'?", 1, true), text)
  end)
end)

describe("#house tick", function()
  setup(start)
  teardown(stop)
  before_each(begin)
  after_each(finish)

  --- `count` coroutines that wait, whose answers are all there.
  local function answered(count, work)
    local client = new_client("plain", { runtime = "tick" })
    local resumed = { count = 0 }
    for i = 1, count do
      coroutine.wrap(guarded(function()
        assert.is_true(client.messages:create(message(i)))
        resumed.count = resumed.count + 1
        work()
      end))()
    end
    tick_until({}, function()
      return #sandbox:received() >= count and engine.has_answers()
    end)
    engine.get():wait(0.05)
    return client, resumed
  end

  before_each(function()
    sandbox:clear()
  end)

  it("resumes no more than max in a poll", function()
    local client, resumed = answered(40, function() end)
    local polled = client:poll { max = 7, seconds = 5 }
    assert.is_true(polled > 0 and polled <= 7)
    assert.equal(polled, resumed.count)
    tick_until({ client }, function()
      return resumed.count == 40
    end)
  end)

  it("resumes nobody after its seconds are over", function()
    local client, resumed = answered(10, function()
      local over = core.now() + 0.01
      repeat
      until core.now() >= over
    end)
    for polls = 1, 10 do
      assert.equal(1, client:poll { max = 100, seconds = 0.005 })
      assert.equal(polls, resumed.count)
    end
  end)

  it("keeps the bounds of poll while a coroutine flushes", function()
    local client = new_client("plain", { runtime = "tick" })
    local called, flushed = 0, false
    for i = 1, 60 do
      client.messages:create(message(i), function()
        called = called + 1
      end)
    end
    coroutine.wrap(guarded(function()
      flushed = client:flush(5)
    end))()
    while not flushed do
      local before = called
      client:poll { max = 3, seconds = 1 }
      assert.is_true(called - before <= 3)
      engine.get():wait(0.001)
    end
    assert.equal(60, called)
  end)
end)

-- A program of its own: a loop watches a descriptor but once.
local WATCHING = [[
  local uv = require "luv"
  local base_url, token = ...
  local options = { base_url = base_url, runtime = "blocking" }
  local client = require("sendapi").client("plain", token, options)
  local count = 0
  for id = 1, 100 do
    client.messages:create({
      id = id,
      thread_id = id,
      author = { id = "666", created_at = 0, screenname = "John Doe" },
      body = "Awesome post !",
    }, function(ok)
      count = count + (ok and 1 or 1000)
    end)
  end
  local watcher = uv.new_poll(client:pollfd())
  watcher:start("r", function()
    client:poll { max = 7 }
    if count >= 100 then
      watcher:close()
    end
  end)
  uv.run()
  print(count, client:events())
]]

describe("#house the pollable contract of a client", function()
  local script = os.tmpname()

  setup(start)
  teardown(function()
    os.remove(script)
  end)
  teardown(stop)
  before_each(begin)
  after_each(finish)

  it("lets cqueues watch two clients, each in a loop of its own", function()
    if not is_here "cqueues" then
      return
    end
    local loop = cqueues.new()
    local counts = {}
    for i = 1, 2 do
      local client = new_client(i == 1 and "plain" or "late", { runtime = "blocking" })
      counts[i] = 0
      for id = 1, 30 do
        client.messages:create(message(id), function(ok)
          counts[i] = counts[i] + (ok and 1 or 1000)
        end)
      end
      loop:wrap(guarded(function()
        while counts[i] < 30 do
          cqueues.poll(client)
          client:poll()
        end
      end))
    end
    assert(loop:loop(10))
    assert.same({ 30, 30 }, counts)
  end)

  it("lets any other loop watch it", function()
    if not is_here "luv" then
      return
    end
    shell.write_file(script, WATCHING)
    local command = ("timeout 60 %s %s %s %s"):format(LUA, script, sandbox.http, TOKEN)
    local result = shell.run(command)
    assert.equal("100\tr\n", result.output, result.errors)
  end)

  it("asks for no time when nothing is there, and for none to pass when something is", function()
    local client = new_client("plain", { runtime = "blocking" })
    assert.is_nil(client:timeout())
    client.messages:create(message(1), function() end)
    tick_until({}, engine.has_answers)
    assert.equal(0, client:timeout())
    assert.equal(1, client:poll())
    assert.is_nil(client:timeout())
  end)
end)

describe("#house cqueues", function()
  setup(start)
  teardown(stop)
  before_each(begin)
  after_each(finish)

  local function test(title, body)
    it(title, function()
      if is_here "cqueues" then
        body(new_client("late", { runtime = "cqueues" }))
      end
    end)
  end

  test("is found out within a controller", function()
    local client = new_client "late"
    local loop, done = cqueues.new(), 0
    for i = 1, 8 do
      loop:wrap(guarded(function()
        assert.is_true(client.messages:create(message(i)))
        done = done + 1
      end))
    end
    local began = core.now()
    assert(loop:loop())
    assert.equal(8, done)
    assert.is_true(core.now() - began < 4 * LATE)
  end)

  test("refuses to wait in a coroutine that is not the controller's", function(client)
    local loop, text = cqueues.new(), nil
    loop:wrap(guarded(function()
      text = raising.text(function()
        coroutine.wrap(function()
          client.messages:create(message(1))
        end)()
      end)
    end))
    assert(loop:loop())
    assert.truthy(text:find("only in a coroutine of a controller", 1, true))
  end)

  test("forgets a controller that is given up", function(client)
    local done
    local lost = cqueues.new()
    lost:wrap(function()
      client.messages:create(message(1))
    end)
    assert(lost:step(0))
    assert(lost:step(0))
    lost = nil -- luacheck: ignore
    collectgarbage()
    local loop = cqueues.new()
    loop:wrap(guarded(function()
      done = client.messages:create(message(2))
    end))
    assert(loop:loop())
    assert.is_true(done)
  end)

  test("serves two controllers, one within the other", function(client)
    local outer, inner = cqueues.new(), cqueues.new()
    local done = 0
    local function work(loop, id)
      loop:wrap(guarded(function()
        assert.is_true(client.messages:create(message(id)))
        done = done + 1
      end))
    end
    work(outer, 1)
    work(inner, 2)
    outer:wrap(guarded(function()
      assert(inner:loop())
    end))
    local began = core.now()
    assert(outer:loop())
    assert.equal(2, done)
    assert.is_true(core.now() - began < 3 * LATE)
  end)
end)

describe("#house luv", function()
  setup(start)
  teardown(stop)
  before_each(begin)
  after_each(finish)

  local function test(title, body)
    it(title, function()
      if is_here "luv" then
        body()
      end
    end)
  end

  test("is found out in a coroutine, and for a function anywhere", function()
    local client = new_client "late"
    local done = 0
    local function count(ok)
      done = done + (ok and 1 or 100)
    end
    client.messages:create(message(1), count)
    coroutine.wrap(function()
      count(client.messages:create(message(2)))
    end)()
    uv.run()
    assert.equal(2, done)
  end)

  test("waits as a script does while no loop runs", function()
    assert.is_true(new_client("plain").messages:create(message(1)))
    assert.is_false(uv.run())
  end)

  test("keeps the loop neither too short nor too long", function()
    local client = new_client("late", { runtime = "luv" })
    local began = core.now()
    client.messages:create(message(1), function() end)
    assert.is_true(client:flush(5))
    uv.run()
    local flushed = core.now() - began
    assert.is_true(flushed < 2 * LATE)
    client.messages:create(message(2), function() end)
    uv.run()
    assert.is_true(core.now() - began - flushed >= LATE)
    assert.is_false(engine.is_busy())
  end)
end)
