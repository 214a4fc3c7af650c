--- Messages per second that are confirmed to be stored:
-- `durable.lua URL PLACE DURABILITY COUNT CONVERSATIONS`. The url is of a source that cannot be
-- reached, so that nothing is delivered meanwhile; the outbox is new.
--
-- As a busy program does: calls, and now and then a poll that runs the callbacks; a few thousand
-- calls wait for their confirmation at most.
local clients = require "spec.bench.client"
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local message = require "spec.bench.message"

local url, place, durability = arg[1], arg[2], arg[3]
local count, conversations = tonumber(arg[4]), tonumber(arg[5])
local burst, most_waiting = 200, 4000
local everything = { max = math.huge, seconds = 1 }
local client = clients.open(url, { outbox = place, durability = durability, log = function() end })
local confirmed, params = 0, {}
for i = 1, conversations do
  params[i] = message.params(tostring(i))
end

local function on_outcome(ok, err)
  confirmed = confirmed + (ok and 1 or error(tostring(err)))
end

local function poll_until(confirmations)
  client:poll(everything)
  while confirmed < confirmations do
    engine.get():wait(1)
    client:poll(everything)
  end
end

clients.check(client.messages:create(params[1])) -- makes the file
local begin = core.now()
for i = 1, count do
  clients.check(client.messages:create(params[i % conversations + 1], on_outcome))
  if i % burst == 0 then
    poll_until(i - most_waiting)
  end
end
poll_until(count)
print(("%.1f"):format(count / (core.now() - begin)))
client:close(0)
