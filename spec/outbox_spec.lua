--- An outbox in a SQLite file, against a real nginx. What becomes of it when programs are killed is
-- in crash_spec.lua.
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local host = require "sendapi.sandbox.host"
local program = require "spec.support.program"
local promptness = require "spec.support.promptness"
local sendapi = require "sendapi"
local send_api = require "spec.support.send_api"
local temporary = require "spec.support.temporary"
local traffic = require "spec.support.traffic"

local PATIENCE = 20 -- seconds, at most
local PROMPT = 0.25 -- seconds; 0.05 are meant, but the machine may be busy

describe("a client with an outbox", function()
  local sandbox, directory
  local clients, logged

  setup(function()
    sandbox = assert(host.start { sources = traffic.sources { plain = {} } })
  end)

  teardown(function()
    sandbox:stop()
  end)

  before_each(function()
    sandbox:clear()
    sandbox:fault(nil)
    directory = temporary.directory()
    clients, logged = {}, {}
  end)

  after_each(function()
    for _, client in ipairs(clients) do
      client:close(0)
    end
    directory:remove()
  end)

  local function new(options, token)
    options = options or {}
    options.base_url = options.base_url or sandbox.http
    options.outbox = options.outbox or directory:path_of "outbox.db"
    options.log = function(level, message)
      logged[#logged + 1] = level .. ": " .. message
    end
    clients[#clients + 1] = sendapi.client("plain", token or send_api.token, options)
    return clients[#clients]
  end

  --- Polls until a condition holds.
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

  local function check_figures(client)
    local stats = client:stats()
    assert.equal(
      stats.accepted,
      stats.delivered + stats.stored + stats.refused + stats.failed + stats.pending
    )
    local outbox = stats.outbox
    assert.equal(
      outbox.accepted,
      outbox.delivered + outbox.discarded + outbox.dead + outbox.pending
    )
    return outbox
  end

  local function arrivals()
    local ids = {}
    for _, entry in ipairs(sandbox:received()) do
      ids[#ids + 1] = entry.params and entry.params.id -- a fault comes before the body is read
    end
    return ids
  end

  it("returns once the message is stored, and delivers it", function()
    local client = new()
    assert.is_true(client.messages:create(traffic.message(1)))
    assert.equal(1, client:stats().stored)
    await_delivery(client)
    assert.same({ "1" }, arrivals())
    local figures = check_figures(client)
    assert.equal(1, figures.accepted)
    assert.equal(1, figures.delivered)
    assert.is_false((client:outbox():oldest()))
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

  it("calls back when the message is stored, and flush waits for that", function()
    local client = new()
    local outcomes = {}
    for i = 1, 300 do
      assert.is_true(client.messages:create(traffic.message(i, i), function(ok, err)
        outcomes[#outcomes + 1] = ok or err
      end))
    end
    assert.is_true(client:flush(PATIENCE))
    assert.equal(300, #outcomes)
    for _, outcome in ipairs(outcomes) do
      assert.is_true(outcome)
    end
    await_delivery(client)
    assert.equal(300, #arrivals())
    check_figures(client)
  end)

  it("stores no typing", function()
    local client = new()
    sandbox:kill()
    local ok, err = client.typing:start { thread_id = "1", preview = "x" }
    assert.is_nil(ok)
    assert.equal("connection_refused", err.code)
    assert.equal(0, client:outbox():pending())
    assert(sandbox:revive())
  end)

  it("gives up what can never be delivered, and tells so", function()
    local told = {}
    local client = new {
      on_dead = function(letter)
        told[#told + 1] = letter
      end,
    }
    sandbox:fault { kind = "status", status = 422, text = "No" }
    assert.is_true(client.messages:create(traffic.message(1)))
    await(client, function()
      return #told > 0
    end)
    local letter = told[1]
    assert.equal("refused", letter.code)
    assert.equal("No", letter.reason)
    assert.equal(422, letter.status)
    assert.equal("messages.create", letter.action)
    assert.equal(1, letter.attempts)
    assert.is_nil(letter.body)
    assert.is_true(letter.bytes > 50)
    assert.equal(1, check_figures(client).dead)
    local letters = assert(client:outbox():dead())
    assert.equal(1, #letters)
    assert.equal(letter.id, letters[1].id)
    assert.truthy(letters[1].body:find('"id":"1"', 1, true))
    assert.same({}, assert(client:outbox():dead { after = letter.id }))
    assert.truthy(table.concat(logged, "\n"):find("was given up", 1, true))
  end)

  it("tells without keeping an event loop busy", function()
    local told = {}
    local client = new {
      on_dead = function(letter)
        told[#told + 1] = letter.id
      end,
    }
    sandbox:fault { kind = "status", status = 422, text = "No" }
    for i = 1, 3 do
      assert.is_true(client.messages:create(traffic.message(i)))
    end
    local deadline = core.now() + PATIENCE
    while #logged < 3 do
      assert.is_true(core.now() < deadline, "nothing was given up")
      engine.collect()
    end
    assert.same({}, told)
    assert.is_false(engine.is_busy())
    assert.equal(3, client:poll { seconds = PATIENCE })
    assert.equal(3, #told)
  end)

  it("makes letters pending again, and forgets them", function()
    local client = new()
    local outbox = client:outbox()
    sandbox:fault { kind = "status", status = 422, text = "No" }
    for i = 1, 3 do
      assert.is_true(client.messages:create(traffic.message(i)))
    end
    await(client, function()
      return #assert(outbox:dead()) == 3
    end)
    sandbox:fault(nil)
    local first = assert(outbox:dead { limit = 1 })[1]
    assert.equal(1, outbox:discard(first.id))
    assert.equal(0, outbox:discard(first.id))
    assert.equal(2, outbox:retry())
    await_delivery(client)
    local figures = check_figures(client)
    assert.equal(0, figures.dead)
    assert.equal(1, figures.discarded)
    assert.equal(2, figures.delivered)
  end)

  it("retries and discards by a filter", function()
    local client = new()
    local outbox = client:outbox()
    sandbox:fault { kind = "status", status = 422, text = "No" }
    for i = 1, 40 do
      assert.is_true(client.messages:create(traffic.message(i, i % 2)))
    end
    await(client, function()
      return #assert(outbox:dead()) == 40
    end)
    sandbox:fault(nil)
    local soon = os.time() + 1000
    assert.equal(0, outbox:retry { code = "invalid_signature" })
    assert.equal(0, outbox:discard { before = soon - 2000 })
    assert.equal(0, outbox:discard { after = soon, lane = 1 })
    assert.equal(20, outbox:discard { code = "refused", lane = 1, before = soon })
    assert.equal(20, outbox:retry { action = "messages.create", after = soon - 2000 })
    await_delivery(client)
    local figures = check_figures(client)
    assert.equal(20, figures.discarded)
    assert.equal(20, figures.delivered)
    assert.equal(0, outbox:retry {})
    local counts = {}
    assert.is_true(outbox:discard({}, function(count)
      counts[#counts + 1] = count
    end))
    assert.is_true(client:flush(PATIENCE))
    assert.same({ 0 }, counts)
  end)

  it("answers with a function, too", function()
    local client = new()
    local answers = {}
    assert.is_true(client:outbox():pending(function(count, err)
      answers[#answers + 1] = { count = count, err = err }
    end))
    assert.is_true(client:outbox():dead(function(letters, err)
      answers[#answers + 1] = { letters = letters, err = err }
    end))
    assert.is_true(client:flush(PATIENCE))
    assert.same({ { count = 0 }, { letters = {} } }, answers)
  end)

  it("keeps everything while the source is at fault", function()
    local told = {}
    local wrong = new({
      on_pause = function(err)
        told[#told + 1] = err or "goes on"
      end,
      on_dead = function()
        told[#told + 1] = "dead"
      end,
    }, "wrong")
    for i = 1, 5 do
      assert.is_true(wrong.messages:create(traffic.message(i)))
    end
    await(wrong, function()
      return #told > 0
    end)
    assert.equal("invalid_signature", told[1].code)
    assert.is_true(wrong:stats().outbox.paused)
    assert.equal(5, wrong:outbox():pending())
    sandbox:clear()
    local right = new()
    await_delivery(right)
    assert.same({ "1", "2", "3", "4", "5" }, arrivals())
    assert.is_false(right:stats().outbox.paused)
    assert.equal(1, #told) -- the other one hears that it goes on
  end)

  it("resumes by itself", function()
    local told = {}
    local client = new {
      on_pause = function(err)
        told[#told + 1] = err and err.code or "goes on"
      end,
    }
    sandbox:fault { kind = "status", status = 401, text = "Who?" }
    assert.is_true(client.messages:create(traffic.message(1)))
    await(client, function()
      return #told > 0
    end)
    sandbox:fault(nil)
    await_delivery(client)
    await(client, function()
      return #told > 1
    end)
    assert.same({ "forbidden", "goes on" }, told)
  end)

  it("leaves to another process what it has not delivered", function()
    local client = new()
    sandbox:fault { kind = "status", status = 503 }
    assert.is_true(client.messages:create(traffic.message(1)))
    client:close(2)
    local ok, err = client.messages:create(traffic.message(2))
    assert.is_nil(ok)
    assert.equal("closed", err.code)
    sandbox:fault(nil)
    await_delivery(new())
    assert.truthy(#arrivals() >= 1)
  end)

  it("delivers what is pending before it is closed", function()
    local client = new()
    for i = 1, 200 do
      assert.is_true(client.messages:create(traffic.message(i, i % 3)))
    end
    client:close(PATIENCE)
    assert.equal(200, #arrivals())
    assert.equal(0, client:stats().outbox.pending)
  end)

  it("delivers what is pending before it is closed, however long each takes", function()
    sandbox:fault { kind = "delay", seconds = 0.7 }
    local client = new()
    for i = 1, 4 do
      assert.is_true(client.messages:create(traffic.message(i, 1)))
    end
    client:close(3 * PATIENCE)
    assert.same({ "1", "2", "3", "4" }, arrivals())
  end)

  it("is closed at once where nothing is delivered any more", function()
    sandbox:fault { kind = "delay", seconds = 2 }
    local client = new()
    assert.is_true(client.messages:create(traffic.message(1)))
    engine.get():close()
    local start = core.now()
    client:close(60)
    assert.is_true(core.now() - start < 10, "it waited")
  end)

  it("is closed soon when nothing can be delivered", function()
    local client = new()
    sandbox:fault { kind = "status", status = 503 }
    assert.is_true(client.messages:create(traffic.message(1)))
    local start = core.now()
    client:close(60)
    assert.is_true(core.now() - start < 10, "it waited")
    assert.equal(1, client:stats().outbox.pending)
  end)

  it("keeps no collector waiting for what is on its way", function()
    sandbox:fault { kind = "delay", seconds = 3 }
    local forgotten = new()
    assert.is_true(forgotten.messages:create(traffic.message(1)))
    await(forgotten, function()
      return #sandbox:received() == 1
    end)
    clients, forgotten = {}, nil -- luacheck: ignore
    local start = core.now()
    collectgarbage()
    collectgarbage()
    assert.is_true(core.now() - start < 2, "the collector waited")
    assert.is_false(engine.is_busy(), "a loop would go on")
    sandbox:fault(nil)
    await_delivery(new())
    assert.equal(1, #sandbox:received())
  end)

  it("leaves nothing of a client that is collected", function()
    local function make_and_forget(count)
      for _ = 1, count do
        new()
        clients[#clients] = nil
      end
      collectgarbage()
      collectgarbage()
      new():outbox():pending() -- which comes after all that they asked
      engine.collect()
      collectgarbage()
      return collectgarbage "count"
    end
    local before = make_and_forget(100)
    local after = make_and_forget(400)
    assert.is_true(after - before < 100, after - before) -- kilobytes
  end)

  it("has the end of Lua wait for what is on its way", function()
    sandbox:fault { kind = "delay", seconds = 1 }
    local script = ([[
      local traffic = require "spec.support.traffic"
      local client = require("sendapi").client("plain", %q, { base_url = %q, outbox = %q })
      assert(client.messages:create(traffic.message(1)))
      repeat
        client:flush()
      until require("sendapi.core").now() > %f
    ]]):format(send_api.token, sandbox.http, directory:path_of "outbox.db", core.now() + 0.5)
    assert.is_nil(program.start({ program.lua, "-e", script }):read())
    assert.equal(1, #sandbox:received())
    assert.equal(0, new():outbox():pending())
  end)

  it("has another process deliver at once what it stores", function()
    local place = directory:path_of "outbox.db"
    local deliverer = program.send { url = sandbox.http, outbox = place, stream = 1, rate = 0 }
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

  it("says why it cannot store", function()
    local client = new { outbox = directory:path_of "no/such/folder.db" }
    local ok, err = client.messages:create(traffic.message(1))
    assert.is_nil(ok)
    assert.equal("storage", err.code)
    assert.equal("local", err.class)
    assert.is_true(err.retryable)
    ok, err = client:outbox():pending()
    assert.is_nil(ok)
    assert.equal("storage", err.code)
    assert.equal(1, client:stats().failed)
    check_figures(client)
  end)

  it("refuses what is misuse", function()
    local client = new()
    local outbox = client:outbox()
    local plain = sendapi.client("plain", send_api.token, { base_url = sandbox.http })
    clients[#clients + 1] = plain
    for message, misuse in pairs {
      ["has no outbox"] = function()
        plain:outbox()
      end,
      ["with a colon"] = function()
        outbox.pending()
      end,
      ["a letter's id"] = function()
        outbox:discard()
      end,
      ["a letter's id or a filter"] = function()
        outbox:retry "all"
      end,
      ["there is no 'codes' in a filter, did you mean 'code'?"] = function()
        outbox:retry { codes = "refused" }
      end,
      ["code: expected a string, got a number"] = function()
        outbox:discard { code = 422 }
      end,
      ["before: expected a time, got a string"] = function()
        outbox:discard { before = "now" }
      end,
      ["after: expected a time, got a number"] = function()
        outbox:retry { after = 0 / 0 }
      end,
      ["function as last argument"] = function()
        outbox:pending "now"
      end,
      ["after = id"] = function()
        outbox:dead { before = 1 }
      end,
      ["option 'durability'"] = function()
        new { durability = "some" }
      end,
      ["option 'on_dead'"] = function()
        new { on_dead = true }
      end,
    } do
      local fine, problem = pcall(misuse)
      assert.is_false(fine)
      assert.truthy(problem:find(message, 1, true), problem)
      assert.truthy(problem:find("outbox_spec.lua", 1, true), problem)
    end
  end)
end)
