--- The outbox's figures: `client:stats()` and `sendapi.prometheus()`.
local core = require "sendapi.core"
local host = require "sendapi.sandbox.host"
local sendapi = require "sendapi"
local send_api = require "spec.support.send_api"
local temporary = require "spec.support.temporary"
local traffic = require "spec.support.traffic"

local PATIENCE = 20 -- seconds, at most

describe("the figures of an outbox", function()
  local sandbox, directory, clients

  setup(function()
    sandbox = assert(host.start { sources = traffic.sources { stored = {}, direct = {} } })
  end)

  teardown(function()
    sandbox:stop()
  end)

  before_each(function()
    sandbox:clear()
    sandbox:fault(nil)
    directory = temporary.directory()
    clients = {}
  end)

  after_each(function()
    for _, client in ipairs(clients) do
      client:close(0)
    end
    directory:remove()
    collectgarbage()
    collectgarbage()
  end)

  local function new(name, source_id)
    clients[#clients + 1] = sendapi.client(source_id or "stored", send_api.token, {
      base_url = sandbox.http,
      outbox = name and directory:path_of(name),
      log = function() end,
    })
    return clients[#clients]
  end

  --- The value of a metric, a number, or nil.
  local function metric(name, source_id)
    local wanted = ('sendapi_%s{source="%s"} '):format(name, source_id or "stored")
    for line in sendapi.prometheus():gmatch "[^\n]+" do
      if line:sub(1, #wanted) == wanted then
        return tonumber(line:sub(#wanted + 1))
      end
    end
  end

  local function await(client, name, value)
    local deadline = core.now() + PATIENCE
    while metric(name) ~= value do
      assert.is_true(core.now() < deadline, ("%s is %s"):format(name, tostring(metric(name))))
      client:poll()
      client:flush(0.01)
      core.sleep(0.01)
    end
  end

  it("are there for sources that have one", function()
    new(nil, "direct")
    assert.is_nil(sendapi.prometheus():find("outbox_", 1, true))
    assert.equal(0, metric("stored_total", "direct"))
    new "a.db"
    for _, name in ipairs {
      "outbox_accepted_total",
      "outbox_delivered_total",
      "outbox_discarded_total",
      "outbox_dead",
      "outbox_pending",
      "outbox_paused",
      "outbox_oldest_age_seconds",
    } do
      assert.equal(0, metric(name))
      assert.is_nil(metric(name, "direct"))
      assert.truthy(sendapi.prometheus():find("# TYPE sendapi_" .. name .. " ", 1, true))
    end
  end)

  it("count what is stored, delivered, dead and discarded, once for all clients", function()
    local client = new "a.db"
    new "a.db"
    sandbox:fault { kind = "status", status = 422, text = "No" }
    for i = 1, 3 do
      assert.is_true(client.messages:create(traffic.message(i)))
    end
    await(client, "outbox_dead", 3)
    assert.equal(1, client:outbox():discard(client:outbox():dead()[1].id))
    sandbox:fault(nil)
    assert.equal(2, client:outbox():retry())
    await(client, "outbox_delivered_total", 2)
    assert.equal(3, metric "stored_total")
    assert.equal(3, metric "outbox_accepted_total")
    assert.equal(1, metric "outbox_discarded_total")
    assert.equal(0, metric "outbox_dead")
    assert.equal(0, metric "outbox_pending")
    assert.equal(0, metric "outbox_oldest_age_seconds")
    assert.is_nil(client:stats().outbox.oldest)
    client:close()
    assert.equal(3, metric "outbox_accepted_total") -- the other client knows them, too
  end)

  it("tell of a pause, and how old the oldest message is", function()
    local client = new "a.db"
    sandbox:fault { kind = "status", status = 401, text = "Who?" }
    local before = os.time()
    assert.is_true(client.messages:create(traffic.message(1)))
    await(client, "outbox_paused", 1)
    assert.equal(1, metric "outbox_pending")
    local oldest = client:stats().outbox.oldest
    assert.is_true(oldest >= before - 1 and oldest <= os.time() + 1)
    local deadline = core.now() + PATIENCE
    while metric "outbox_oldest_age_seconds" < 1 do
      assert.is_true(core.now() < deadline, "it does not age")
      core.sleep(0.05)
    end
    assert.is_true(metric "outbox_oldest_age_seconds" <= os.time() - before + 1)
    sandbox:fault(nil)
    await(client, "outbox_paused", 0)
    await(client, "outbox_pending", 0)
  end)

  it("are sums over a source's outboxes", function()
    local first, second = new "a.db", new "b.db"
    assert.is_true(first.messages:create(traffic.message(1)))
    assert.is_true(second.messages:create(traffic.message(2)))
    await(second, "outbox_delivered_total", 2)
    assert.equal(2, metric "outbox_accepted_total")
  end)
end)
