--- Messages per second that are confirmed to be stored:
-- `durable.lua URL PLACE DURABILITY COUNT CONVERSATIONS`. The url is of a source that cannot be
-- reached, so that nothing is delivered meanwhile; the outbox is new.
--
-- As a program does that has them all at once: the calls, then polls until every callback has run.
local clients = require "spec.bench.client"
local core = require "sendapi.core"
local message = require "spec.bench.message"

local url, place, durability = arg[1], arg[2], arg[3]
local count, conversations = tonumber(arg[4]), tonumber(arg[5])
local client = clients.open(url, { outbox = place, durability = durability, log = function() end })
local confirmed, params = 0, {}
for i = 1, conversations do
  params[i] = message.params(tostring(i))
end

local function on_outcome(ok, err)
  confirmed = confirmed + (ok and 1 or error(tostring(err)))
end

clients.check(client.messages:create(params[1])) -- makes the file
local begin = core.now()
for i = 1, count do
  clients.check(client.messages:create(params[i % conversations + 1], on_outcome))
end
assert(client:flush())
print(("%.1f"):format(count / (core.now() - begin)))
assert(confirmed == count, "not every message was stored")
client:close(0)
