--- The server dies under load and comes back: every message is delivered, in order, and the figures
-- are those of the server. SENDAPI_LONG=1 makes it 20 s at 500 messages/s in 100 conversations.
local core = require "sendapi.core"
local host = require "sendapi.sandbox.host"
local sendapi = require "sendapi"
local send_api = require "spec.support.send_api"
local traffic = require "spec.support.traffic"

local is_long = os.getenv "SENDAPI_LONG" ~= nil
local outage = is_long and 20 or 3 -- seconds
local rate = is_long and 500 or 400 -- messages a second
local conversations = is_long and 100 or 40
local connections = 16
local around = 1 -- seconds of traffic before and after the outage

describe("#house an outage", function()
  local sandbox, client

  setup(function()
    sandbox = assert(host.start { sources = { plain = { token = send_api.token } } })
  end)

  teardown(function()
    client:close(0)
    sandbox:stop()
  end)

  --- Goes on sending at the rate, for some seconds.
  local function send_for(sent, seconds)
    local start, first = core.now(), #sent.sent
    while core.now() - start < seconds do
      local due = first + (core.now() - start) * rate
      while #sent.sent < due do
        local id = #sent.sent + 1
        assert.is_true(sent:send(id, id % conversations))
      end
      assert.is_true(sent:work())
    end
  end

  it("delays messages, and loses none", function()
    client = sendapi.client("plain", send_api.token, {
      base_url = sandbox.http,
      connections = connections,
      max_pending = rate * (outage + 2 * around) + 1,
    })
    local sent = traffic.new(client)
    send_for(sent, around)
    sandbox:kill()
    send_for(sent, outage)
    local waiting = client:stats().pending
    assert.is_true(sandbox:revive())
    send_for(sent, around)
    assert.same({ true }, { sent:finish(40) })

    local received = sandbox:received()
    local arrivals = traffic.arrivals(received)
    local stats = client:stats()
    assert.is_true(waiting > rate * outage * 0.9)
    assert.equal(#sent.sent, (sent:count()))
    assert.equal(#sent.sent, stats.delivered)
    assert.equal(#sent.sent, #arrivals.first)
    assert.is_nil(sent:find_disorder(arrivals.first))
    local twice = #received - #arrivals.first -- those that were under way when it died
    assert.is_true(twice <= connections, twice)
  end)
end)
