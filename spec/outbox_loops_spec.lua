--- An outbox in a program with an event loop: it is heard there while the loop runs, and keeps no
-- loop from its end.
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local host = require "sendapi.sandbox.host"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"
local temporary = require "spec.support.temporary"
local traffic = require "spec.support.traffic"

local PATIENCE = 20 -- seconds, at most

local function optional(name)
  local found, library = pcall(require, name)
  return found and library or nil
end

local cqueues, uv = optional "cqueues", optional "luv"

describe("#house an outbox under", function()
  local sandbox, directory, clients, told

  setup(function()
    sandbox = assert(host.start { sources = traffic.sources { plain = {} } })
  end)

  teardown(function()
    sandbox:stop()
  end)

  before_each(function()
    sandbox:fault { kind = "status", status = 422, text = "No" }
    directory = temporary.directory()
    clients, told = {}, {}
  end)

  after_each(function()
    for _, client in ipairs(clients) do
      client:close(0)
    end
    sandbox:revive()
    directory:remove()
  end)

  local function new(runtime)
    local client = sendapi.client("plain", send_api.token, {
      base_url = sandbox.http,
      runtime = runtime,
      outbox = directory:path_of "outbox.db",
      log = function() end,
      on_dead = function(letter)
        told[#told + 1] = letter.code
      end,
    })
    clients[#clients + 1] = client
    return client
  end

  --- Leaves a message in the outbox, which nobody delivers then.
  local function leave_one()
    sandbox:kill()
    local client = new "blocking"
    assert.is_true(client.messages:create(traffic.message(1)))
    client:close()
    assert(sandbox:revive())
  end

  local function is_over(deadline)
    return told[1] ~= nil or core.now() > deadline
  end

  --- Whether it is there; else the test shows as pending.
  local function is_here(name, library)
    if not library then
      pending(name .. " is not installed")
    end
    return library ~= nil
  end

  --- Whether luv's loop ends by itself.
  local function ends()
    local guard = uv.new_timer()
    guard:start(PATIENCE * 2000, 0, uv.stop)
    guard:unref()
    local goes_on = uv.run()
    guard:close()
    uv.run "nowait" -- luv cannot end while something is still to be closed
    return not goes_on
  end

  describe("luv", function()
    it("is heard though no call was made", function()
      if not is_here("luv", uv) then
        return
      end
      leave_one()
      new "luv"
      local timer, deadline = uv.new_timer(), core.now() + PATIENCE
      timer:start(10, 10, function()
        if is_over(deadline) then
          timer:close()
        end
      end)
      assert.is_true(ends())
      assert.same({ "refused" }, told)
    end)

    it("keeps no loop from its end", function()
      if not is_here("luv", uv) then
        return
      end
      sandbox:kill()
      local client, stored = new "luv", nil
      assert.is_true(ends())
      coroutine.wrap(function()
        stored = client.messages:create(traffic.message(1)) and client:outbox():pending()
      end)()
      assert.is_true(ends())
      assert.equal(1, stored)
    end)
  end)

  describe("cqueues", function()
    it("is heard by whoever polls the client", function()
      if not is_here("cqueues", cqueues) then
        return
      end
      leave_one()
      local client = new "cqueues"
      local loop, deadline = cqueues.new(), core.now() + PATIENCE
      loop:wrap(function()
        repeat
          cqueues.poll(client, 1)
          client:poll()
        until is_over(deadline)
      end)
      assert(loop:loop())
      assert.same({ "refused" }, told)
    end)

    it("keeps no loop from its end", function()
      if not is_here("cqueues", cqueues) then
        return
      end
      sandbox:kill()
      local client, loop, stored = new "cqueues", cqueues.new(), nil
      loop:wrap(function()
        stored = client.messages:create(traffic.message(1)) and client:outbox():pending()
      end)
      assert(loop:loop(PATIENCE))
      assert.is_true(loop:empty())
      assert.equal(1, stored)
    end)
  end)

  it("ticks is heard by the client's poll, which resumes who asks it", function()
    leave_one()
    local client, deadline = new "tick", core.now() + PATIENCE
    local letters
    repeat
      engine.get():wait(0.01)
      client:poll()
    until is_over(deadline)
    assert.same({ "refused" }, told)
    coroutine.wrap(function()
      letters = client:outbox():dead()
    end)()
    while not letters and core.now() < deadline do
      engine.get():wait(0.01)
      client:poll()
    end
    assert.equal(1, #letters)
  end)
end)
