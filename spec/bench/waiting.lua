--- Calls per second, one at a time: `waiting.lua URL COUNT`. Each waits until its message is
-- delivered.
local clients = require "spec.bench.client"
local core = require "sendapi.core"
local message = require "spec.bench.message"

local client, count = clients.open(arg[1]), tonumber(arg[2])
local params = message.params()
clients.check(client.messages:create(params)) -- connects
local begin = core.now()
for _ = 1, count do
  clients.check(client.messages:create(params))
end
print(("%.1f"):format(count / (core.now() - begin)))
