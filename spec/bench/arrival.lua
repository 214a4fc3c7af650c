--- The microseconds from the confirmation of a message in one process to its arrival at the source,
-- where another process delivers: `arrival.lua GATEWAY PLACE COUNT`. Prints the median, and what 99
-- of 100 do not exceed.
--
-- This process delivers. It runs itself once more, with `append` behind, which sends a message now
-- and then and prints when each was confirmed; the gateway (gateway.lua) tells when it arrived.
local clients = require "spec.bench.client"
local core = require "sendapi.core"
local message = require "spec.bench.message"
local shell = require "sendapi.sandbox.shell"

local gateway, place, count = arg[1], arg[2], tonumber(arg[3])
local client = clients.open(gateway .. "/realtime/sdk/arriving", { outbox = place })

local function append_all()
  for i = 1, count do
    local params = message.params(tostring(i))
    params.id = "m" .. i
    clients.check(client.messages:create(params))
    print(("%d %.6f"):format(i, core.now()))
    clients.sleep(0.005 + math.random() * 0.05)
  end
end

local function times_of(command)
  local ok, output = shell.run(command)
  assert(ok, output)
  local times = {}
  for i, time in output:gmatch "(%d+) (%S+)" do
    times[tonumber(i)] = tonumber(time)
  end
  assert(#times == count, output)
  return times
end

--- Until this process is the one that delivers.
local function await_lease()
  clients.check(client.messages:create(message.params()))
  repeat
    clients.sleep(0.01)
    local figures = client:stats().outbox
  until figures.deliverer and figures.pending == 0
end

local function measure()
  await_lease()
  local words = { arg[-1], arg[0], gateway, place, count, "append" }
  for i, word in ipairs(words) do
    words[i] = shell.quote(word)
  end
  local confirmed = times_of(table.concat(words, " "))
  repeat
    clients.sleep(0.01)
  until client:outbox():pending() == 0
  local arrived = times_of("curl -sSg --fail --noproxy '*' " .. shell.quote(gateway .. "/arrived"))
  local taken = {}
  for i = 1, count do
    taken[i] = (arrived[i] - confirmed[i]) * 1e6
  end
  table.sort(taken)
  print(("%.1f %.1f"):format(clients.quantile(taken, 0.5), clients.quantile(taken, 0.99)))
end

if arg[4] == "append" then
  append_all()
  client:close(0)
else
  measure()
  client:close()
end
