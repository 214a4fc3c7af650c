--- The seven actions of the Send API, as data.
local schema = require "sendapi.schema"

---@class sendapi.Action
---@field name string       as the API names it
---@field resource string   the part before the dot: `client.<resource>`
---@field operation string  the part after it: `client.<resource>:<operation>()`
---@field schema table      what `params` must be
---@field ephemeral boolean worth nothing when it is late: neither tried again nor stored
---@field lane fun(params: table): string|nil the key of the conversation whose order it keeps

--- A field's text without calling a metamethod; nil for what cannot be an id.
local function text(params, name)
  local value = type(params) == "table" and rawget(params, name)
  local kind = type(value)
  return (kind == "string" or kind == "number") and value or nil
end

local function id_of(params, name)
  return text(type(params) == "table" and rawget(params, name), "id")
end

local function key(kind, id)
  return id and kind .. id
end

local lanes = {}

--- A thread's messages; without threads, what one author says.
function lanes.message(params)
  return key("thread ", text(params, "thread_id")) or key("author ", id_of(params, "author"))
end

--- Both directions between two users are one conversation.
function lanes.pair(params)
  local author, recipient = id_of(params, "author"), id_of(params, "recipient")
  if not author or not recipient then
    return nil
  end
  author, recipient = tostring(author), tostring(recipient)
  if recipient < author then
    author, recipient = recipient, author
  end
  return ("pair %d %s %s"):format(#author, author, recipient)
end

function lanes.thread(params)
  return key("thread ", text(params, "id"))
end

function lanes.user(params)
  return key("user ", text(params, "id"))
end

function lanes.status(params)
  return key("status ", text(params, "id"))
end

--- Typing keeps its own order, so that it never waits for a message and no message for it.
function lanes.typing(params)
  return key("typing ", text(params, "in_reply_to_id") or text(params, "thread_id"))
end

local function action(name, params, lane, ephemeral)
  local resource, operation = name:match "^([%w_]+)%.([%w_]+)$"
  return {
    name = name,
    resource = resource,
    operation = operation,
    schema = params,
    lane = lane,
    ephemeral = ephemeral or false,
  }
end

---@type sendapi.Action[]
return {
  action("messages.create", schema.message, lanes.message),
  action("private_messages.create", schema.private_message, lanes.pair),
  action("threads.create", schema.thread, lanes.thread),
  action("users.create", schema.user, lanes.user),
  action("status.mark_as_read", schema.status, lanes.status),
  action("typing.start", schema.typing_start, lanes.typing, true),
  action("typing.stop", schema.typing_stop, lanes.typing, true),
}
