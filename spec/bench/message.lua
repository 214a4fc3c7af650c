--- The message that is measured: the documents' first example, and what the core makes of it.
local core = require "sendapi.core"
local schema = require "sendapi.schema"
require "sendapi" -- sets the core up as every program does

local message = {}

message.token = "56e79ea426735090665b1c107c757d6d3a692c061335e4728899af27f215edf3"
message.action = "messages.create"

--- A table of its own each time.
---@param thread_id? string its conversation; the example's by default
function message.params(thread_id)
  return {
    id = "890",
    author = { id = "666", created_at = "06/11/2017", screenname = "John Doe" },
    body = "Awesome post !",
    thread_id = thread_id or "42",
  }
end

message.schema = core.compile(schema.message, { action = message.action })
message.signer = core.signer(message.token)

--- The bytes that are sent, and their signature.
message.body = assert(message.schema:encode(message.params()))
message.signature = message.signer:sign(message.body)

return message
