--- The server dies under load and comes back: every message is delivered, in order, and the figures
-- are those of the server. SENDAPI_LONG=1 makes it 20 s, at 500 messages/s in 100 conversations
-- and at 5 in a single one.
local core = require "sendapi.core"
local host = require "sendapi.sandbox.host"
local sendapi = require "sendapi"
local send_api = require "spec.support.send_api"
local traffic = require "spec.support.traffic"

local is_long = os.getenv "SENDAPI_LONG" ~= nil
local outage = is_long and 20 or 3 -- seconds
local connections = 16
local around = 1 -- seconds of traffic before and after the outage

local TOKENS = 16 -- failures after which a source is taken for dead (retry.h)
local PROBES = 2 -- a second, at most

describe("#house an outage", function()
  local sandbox, client

  before_each(function()
    sandbox = assert(host.start { sources = { plain = { token = send_api.token } } })
  end)

  after_each(function()
    client:close(0)
    sandbox:stop()
  end)

  --- Goes on sending so many messages a second, for some seconds.
  local function send_for(sent, seconds, load)
    local start, first = core.now(), #sent.sent
    while core.now() - start < seconds do
      local due = first + (core.now() - start) * load.rate
      while #sent.sent < due do
        local id = #sent.sent + 1
        assert.is_true(sent:send(id, id % load.conversations))
      end
      assert.is_true(sent:work())
    end
  end

  --- Sends before, during and after an outage, and checks that all of it arrived in order.
  ---@return number seconds that the server was away
  local function survive(load)
    client = sendapi.client("plain", send_api.token, {
      base_url = sandbox.http,
      connections = connections,
      max_pending = load.rate * (outage + 2 * around) + 1,
      retry = load.retry,
    })
    local sent = traffic.new(client)
    send_for(sent, around, load)
    local began = core.now()
    sandbox:kill()
    send_for(sent, outage, load)
    local waiting = client:stats().pending
    assert.is_true(sandbox:revive())
    local away = core.now() - began
    send_for(sent, around, load)
    assert.same({ true }, { sent:finish(40) })

    local received = sandbox:received()
    local arrivals = traffic.arrivals(received)
    assert.is_true(waiting > load.rate * outage * 0.9)
    assert.equal(#sent.sent, (sent:count()))
    assert.equal(#sent.sent, client:stats().delivered)
    assert.equal(#sent.sent, #arrivals.first)
    assert.is_nil(sent:find_disorder(arrivals.first))
    local twice = #received - #arrivals.first -- those that were under way when it died
    assert.is_true(twice <= connections, twice)
    return away
  end

  it("delays messages, and loses none", function()
    survive(is_long and { rate = 500, conversations = 100 } or { rate = 400, conversations = 40 })
  end)

  it("loses none of a single conversation, and costs the server a trickle", function()
    local hasty = { attempts = 2, first = 0.02, longest = 0.05 }
    local away = survive { rate = 5, conversations = 1, retry = not is_long and hasty or nil }
    local retries = client:stats().retries
    assert.is_true(retries > 2, retries)
    assert.is_true(retries <= TOKENS + PROBES * (away + 2), retries)
  end)
end)
