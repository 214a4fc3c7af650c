--- A connector for a source that is real-time only: what customers write is sent by the client when
-- they write it, so there is nothing to list; an agent's reply is handed on.
local sendapi = require "sendapi"

--- Here a line of a file. Yours: the way to the customer whose thread it is.
local function hand_on(reply)
  local file = assert(io.open(os.getenv "REPLIES" or "replies.txt", "a"))
  file:write(reply.thread_id or "", "\t", ((reply.body or ""):gsub("%c", " ")), "\n")
  file:close()
end

return sendapi.connector(os.getenv "SENDAPI_TOKEN", {
  messages = {
    list = function()
      return {}
    end,
    create = function(params)
      local id = "reply-" .. params.content_id
      hand_on(params)
      return { id = id }
    end,
  },
  store = ngx and ngx.shared.connector or nil, -- a repeated create is handled once
})
