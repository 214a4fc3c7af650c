--- The processor's nanoseconds that one asynchronous call costs the thread that makes it, from
-- `client.messages:create(params, callback)` through the callback: `caller.lua URL [part]`.
--
-- As a game does it: a batch of calls, then, when most of it is answered, a poll that runs the
-- callbacks. The time of the calls and of the poll counts, the wait in between does not; of the I/O
-- thread's own time nothing, for the calling thread alone is measured. With `part` the two are
-- printed apart.
local clients = require "spec.bench.client"
local message = require "spec.bench.message"

local conversations, batch, batches, warm_up = 64, 2000, 16, 4
local pause = 0.08 -- seconds for a batch to be answered

local client = clients.open(arg[1])
local params, returned = {}, 0
for i = 1, conversations do
  params[i] = message.params(tostring(i))
end

local function on_outcome(ok, err)
  returned = returned + (ok and 1 or error(tostring(err)))
end

local function call_all()
  for i = 1, batch do
    client.messages:create(params[i % conversations + 1], on_outcome)
  end
end

local function poll()
  client:poll { max = math.huge, seconds = 1 }
end

local function measure(run)
  local begin = clients.thread_seconds()
  run()
  return clients.thread_seconds() - begin
end

--- Seconds of the calls, and of the polls.
local function measure_batch()
  local calls, polls = measure(call_all), 0
  returned = 0
  repeat
    clients.sleep(pause)
    polls = polls + measure(poll)
  until returned == batch
  return calls, polls
end

for _ = 1, warm_up do
  measure_batch()
end
local calls, polls = 0, 0
for _ = 1, batches do
  local of_calls, of_polls = measure_batch()
  calls, polls = calls + of_calls, polls + of_polls
end
local scale = 1e9 / (batch * batches)
if arg[2] == "part" then
  print(("%.1f calls, %.1f polls"):format(calls * scale, polls * scale))
else
  print(("%.1f"):format((calls + polls) * scale))
end
