--- The most bytes that an outbox takes on the disk while messages go through it:
-- `growth.lua URL PLACE COUNT ROUNDS`. Prints a number for each round of COUNT messages.
--
-- So many are sent as are delivered: a few thousand are pending at most.
local clients = require "spec.bench.client"
local message = require "spec.bench.message"

local url, place, count, rounds = arg[1], arg[2], tonumber(arg[3]), tonumber(arg[4])
local conversations, most_pending, look = 64, 2000, 500
local client = clients.open(url, { outbox = place })
local params = {}
for i = 1, conversations do
  params[i] = message.params(tostring(i))
end

local function size_of(path)
  local file = io.open(path, "rb")
  local size = file and file:seek "end" or 0
  return size, file and file:close()
end

local function size()
  return (size_of(place)) + (size_of(place .. "-wal"))
end

--- Waits until no more than that are pending.
local function await(pending)
  while client:stats().pending + client:stats().outbox.pending > pending do
    client:poll()
    clients.sleep(0.002)
  end
end

local function ignore() end

local function send_all()
  local most = 0
  for i = 1, count do
    clients.check(client.messages:create(params[i % conversations + 1], ignore))
    if i % look == 0 then
      client:poll { max = math.huge, seconds = 1 }
      await(most_pending)
      most = math.max(most, size())
    end
  end
  await(0)
  return math.max(most, size())
end

for _ = 1, rounds do
  print(("%.0f"):format(send_all()))
end
client:close()
