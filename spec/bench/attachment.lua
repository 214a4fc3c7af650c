--- One message with a file, delivered: `attachment.lua URL PATH`. Prints three numbers:
--
--   the processor's microseconds of the whole process, and of the calling thread alone
--   the bytes by which the process grew at most
local clients = require "spec.bench.client"
local message = require "spec.bench.message"
local sendapi = require "sendapi"

local client = clients.open(arg[1])
local params = message.params()
clients.check(client.messages:create(params)) -- connects
params.attachments = { sendapi.file(arg[2]) }
collectgarbage()

local resident = clients.resident "now"
local thread, process = clients.thread_seconds(), os.clock()
clients.check(client.messages:create(params))
process, thread = os.clock() - process, clients.thread_seconds() - thread
local grown = clients.resident "most" - resident
print(("%.1f %.1f %.0f"):format(process * 1e6, thread * 1e6, grown))
