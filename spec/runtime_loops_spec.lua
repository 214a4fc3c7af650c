--- What is particular to a runtime: ticks, the pollable contract, cqueues and luv.
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local raising = require "spec.support.raising"
local runtimes = require "spec.support.runtimes"
local send_api = require "spec.support.send_api"
local shell = require "spec.support.shell"

local TOKEN = send_api.token
local message = send_api.params
local LATE, PATIENCE = runtimes.LATE, runtimes.PATIENCE
local cqueues, uv, is_here = runtimes.cqueues, runtimes.uv, runtimes.is_here
local guarded, tick_until, new_client = runtimes.guarded, runtimes.tick_until, runtimes.new_client
local start, stop, begin, finish = runtimes.start, runtimes.stop, runtimes.begin, runtimes.finish

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
      engine.collect()
      return client:stats().pending == 0
    end)
    return client, resumed
  end

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
      flushed = client:flush(PATIENCE)
    end))()
    local deadline = core.now() + PATIENCE
    while not flushed do
      assert.is_true(core.now() < deadline, "it does not end")
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
    if not is_here("cqueues", pending) then
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
    assert(loop:loop(PATIENCE))
    assert.same({ 30, 30 }, counts)
  end)

  it("lets any other loop watch it", function()
    if not is_here("luv", pending) then
      return
    end
    shell.write_file(script, WATCHING)
    local command = ("timeout 60 %s %s %s %s"):format(shell.lua, script, runtimes.base_url(), TOKEN)
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
      if is_here("cqueues", pending) then
        body(new_client("late", { runtime = "cqueues" }))
      end
    end)
  end

  test("is found out within a controller", function()
    local client = new_client "late"
    local loop, waiting, most, done = cqueues.new(), 0, 0, 0
    for i = 1, 8 do
      loop:wrap(guarded(function()
        waiting = waiting + 1
        most = math.max(most, waiting)
        assert.is_true(client.messages:create(message(i)))
        waiting, done = waiting - 1, done + 1
      end))
    end
    assert(loop:loop())
    assert.equal(8, done)
    assert.equal(8, most)
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
    local waiting, most, done = 0, 0, 0
    local function work(loop, id)
      loop:wrap(guarded(function()
        waiting = waiting + 1
        most = math.max(most, waiting)
        assert.is_true(client.messages:create(message(id)))
        waiting, done = waiting - 1, done + 1
      end))
    end
    work(outer, 1)
    work(inner, 2)
    outer:wrap(guarded(function()
      assert(inner:loop())
    end))
    assert(outer:loop())
    assert.equal(2, done)
    assert.equal(2, most)
  end)
end)

describe("#house luv", function()
  setup(start)
  teardown(stop)
  before_each(begin)
  after_each(finish)

  local function test(title, body)
    it(title, function()
      if is_here("luv", pending) then
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
    assert.is_true(client:flush(PATIENCE))
    uv.run()
    local flushed = core.now() - began
    assert.is_true(flushed < PATIENCE / 2)
    client.messages:create(message(2), function() end)
    uv.run()
    assert.is_true(core.now() - began - flushed >= LATE)
    assert.is_false(engine.is_busy())
  end)
end)
