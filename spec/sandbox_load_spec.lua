--- The sandbox takes what our own client can send, without a loss and in bounded memory.
-- SENDAPI_LONG=1 makes it 10,000 messages/s for 10 s.
local api = require "spec.support.api"
local core = require "sendapi.core"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"
local shell = require "spec.support.shell"
local support = require "spec.support.sandbox"

local is_long = os.getenv "SENDAPI_LONG" ~= nil
local rate = is_long and 10000 or 2000 -- messages a second
local seconds = is_long and 10 or 1
local conversations = 64
local most_kilobytes = 400000

describe("#house the sandbox under load", function()
  local sandbox, client

  setup(function()
    sandbox = support.start { sources = { plain = { token = send_api.token } } }
  end)

  teardown(function()
    client:close(0)
    sandbox:stop()
  end)

  local function kilobytes()
    local worker = support.process_ids(sandbox.directory)[2]
    return tonumber(shell.read_file("/proc/" .. worker .. "/status"):match "VmHWM:%s*(%d+)")
  end

  it("loses nothing, and shows the newest", function()
    local total, delivered, sent = rate * seconds, 0, 0
    client = sendapi.client("plain", send_api.token, {
      base_url = sandbox.http,
      connections = conversations,
      max_pending = total,
      runtime = "blocking",
    })
    local function note(ok, err)
      delivered = delivered + (ok and 1 or error(tostring(err)))
    end
    local begin = core.now()
    while sent < total do
      local due = math.min(total, (core.now() - begin) * rate)
      while sent < due do
        sent = sent + 1
        assert(client.messages:create({
          id = tostring(sent),
          thread_id = tostring(sent % conversations),
          author = { id = "666", created_at = 0, screenname = "John Doe" },
          body = "Awesome post !",
        }, note))
      end
      client:poll()
    end
    assert(client:flush(60))
    if is_long then
      print(("%d messages in %.1f s"):format(total, core.now() - begin))
    end
    assert.equal(total, delivered)

    local seen, count = {}, 0
    for _, entry in ipairs(sandbox:received()) do
      assert.equal(200, entry.status)
      count = count + (seen[entry.params.id] and 0 or 1)
      seen[entry.params.id] = true
    end
    assert.equal(total, count)
    assert.is_true(kilobytes() < most_kilobytes, kilobytes())
    local screen = api.of(sandbox)
    local _, state = screen:get "/state"
    assert.equal(conversations, #state.threads)
    local _, newest = screen:get("/messages?since=" .. ("%d"):format(total - 1))
    assert.equal(1, #newest.messages)
  end)
end)
