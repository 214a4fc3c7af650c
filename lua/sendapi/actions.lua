--- The seven actions of the Send API (the protocol, section 2), as data.
local schema = require "sendapi.schema"

---@class sendapi.Action
---@field name string      as the API names it
---@field resource string  the part before the dot: `client.<resource>`
---@field operation string the part after it: `client.<resource>:<operation>()`
---@field schema table     what `params` must be

local function action(name, params)
  local resource, operation = name:match "^([%w_]+)%.([%w_]+)$"
  return { name = name, resource = resource, operation = operation, schema = params }
end

---@type sendapi.Action[]
return {
  action("messages.create", schema.message),
  action("private_messages.create", schema.private_message),
  action("threads.create", schema.thread),
  action("users.create", schema.user),
  action("status.mark_as_read", schema.status),
  action("typing.start", schema.typing_start),
  action("typing.stop", schema.typing_stop),
}
