--- Bytes that a pending message holds in memory, all that the library and Lua keep for it included:
-- `pending.lua URL COUNT CONVERSATIONS`. The url is of a source that never answers.
--
-- What is measured is by how much the process grew. One function is the callback of all: what a
-- program keeps for itself is not the library's.
local clients = require "spec.bench.client"
local message = require "spec.bench.message"

local client = clients.open(arg[1], { close_timeout = 0.1, deadline = 600, timeout = 600 })
local count, conversations = tonumber(arg[2]), tonumber(arg[3])
local params = message.params()

local function ignore() end

--- Only the conversation's key differs, and always has six bytes.
local function send_all(messages)
  for i = 1, messages do
    params.thread_id = ("%06d"):format(i % conversations)
    clients.check(client.messages:create(params, ignore))
  end
end

send_all(1000)
collectgarbage()
clients.sleep(0.2)
local begin = clients.resident "now"
send_all(count)
collectgarbage()
clients.sleep(0.2)
print(("%.1f"):format((clients.resident "now" - begin) / count))
client:close(0)
