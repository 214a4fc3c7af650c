--- The microseconds from a call to the confirmation that its message is stored, at a steady rate:
-- `durable_wait.lua URL PLACE COUNT RATE`. Prints the median, and what 99 of 100 do not exceed.
--
-- What is stored is delivered meanwhile, by the same thread.
local clients = require "spec.bench.client"
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local message = require "spec.bench.message"

local url, place, count, rate = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
local conversations = 64
local client = clients.open(url, { outbox = place })
local everything = { max = math.huge, seconds = 1 }
local taken, params = {}, {}
for i = 1, conversations do
  params[i] = message.params(tostring(i))
end

local function call(i)
  local begin = core.now()
  clients.check(client.messages:create(params[i % conversations + 1], function(ok, err)
    taken[#taken + 1] = clients.check(ok, err) and (core.now() - begin) * 1e6
  end))
end

local function poll_until(due)
  local left = due - core.now()
  while left > 0 do
    engine.get():wait(left)
    client:poll(everything)
    left = due - core.now()
  end
end

clients.check(client.messages:create(params[1])) -- makes the file
local first = core.now()
for i = 1, count do
  poll_until(first + (i - 1) / rate)
  call(i)
end
assert(client:flush())
assert(#taken == count, "not every message was stored")
table.sort(taken)
print(("%.1f %.1f"):format(clients.quantile(taken, 0.5), clients.quantile(taken, 0.99)))
client:close()
