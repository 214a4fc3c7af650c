-- luacheck: std ngx_lua
--- Engage Digital, both ways, from one source: the client, and the connector for agents' replies.
local contents = require "contents"
local room = require "room"
local sendapi = require "sendapi"

local source = sendapi.source {
  id = os.getenv "SENDAPI_SOURCE" or error "SENDAPI_SOURCE is not set",
  token = os.getenv "SENDAPI_TOKEN" or error "SENDAPI_TOKEN is not set",
  deadline = 10, -- seconds, with all attempts: a visitor waits no longer
  options = {
    "view.messaging",
    "messages.text",
    "messages.attachments",
    "messaging.typing_indicator",
  },
}

--- The thread that an agent's message or an update is for; nil when its visitor is gone.
local function thread_of(params)
  local thread = params.thread_id or room.thread_of_id(params.in_reply_to_id)
  return room.is_known(thread) and thread or nil
end

local function create(params)
  local thread = thread_of(params)
  if not thread then
    return nil, { message = "This visitor has left the chat.", fatal = true }
  end
  local cards, choices = contents.structured(params.structured_content)
  return {
    id = room.append(thread, {
      type = "message",
      from = "agent",
      name = contents.text(params.sender_name),
      text = contents.text(params.body),
      attachments = contents.attachments(params.attachments),
      cards = cards,
      choices = choices,
    }),
  }
end

local function queuing_update(params)
  local thread = thread_of(params)
  if thread then
    room.append(thread, {
      type = "queue",
      position = tonumber(params.position),
      wait = tonumber(params.estimated_wait_time), -- seconds
    })
  end
end

return {
  client = source:client(),
  connector = source:connector {
    messages = {
      list = function()
        return {} -- everything is sent when it happens
      end,
      create = create,
    },
    messaging = { queuing_update = queuing_update },
    status = true,
    typing = true,
    store = ngx.shared.connector,
  },
}
