--- Messages per second out of a full outbox: `drain.lua URL PLACE COUNT CONVERSATIONS`.
--
-- It is filled while the source cannot be reached; then a client opens it whose source answers, and
-- what counts is the time until none is pending.
local clients = require "spec.bench.client"
local core = require "sendapi.core"
local message = require "spec.bench.message"

local url, place = arg[1], arg[2]
local count, conversations = tonumber(arg[3]), tonumber(arg[4])
local nowhere = "http://127.0.0.1:1/realtime/sdk/" .. url:match "[^/]+$"

local function silent() end

local function ignore() end

local function fill()
  local params = {}
  for i = 1, conversations do
    params[i] = message.params(tostring(i))
  end
  local client = clients.open(nowhere, { outbox = place, log = silent })
  for i = 1, count do
    clients.check(client.messages:create(params[i % conversations + 1], ignore))
  end
  assert(client:flush())
  assert(client:outbox():pending() == count)
  client:close()
end

fill()
local begin = core.now()
local client = clients.open(url, { outbox = place })
repeat
  clients.sleep(0.002)
  local figures = client:stats().outbox
until figures.delivered == count
print(("%.1f"):format(count / (core.now() - begin)))
client:close()
