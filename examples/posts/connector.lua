-- luacheck: std ngx_lua
--- A board that is only polled: Engage Digital asks now and then for new posts, and tells what
-- agents did: replied, deleted, pressed the buttons "Mark as spam" and "Not spam".
local posts = require "posts"
local sendapi = require "sendapi"

local gone = { message = "This post is gone.", fatal = true }

--- What an agent does to a post, by marking its row.
local function marking(what, is)
  return function(params)
    local post = posts.mark(params.id, what, is)
    if not post then
      return nil, gone
    end
    return post
  end
end

local function create(params)
  local parent = params.in_reply_to_id and posts.find(params.in_reply_to_id)
  if params.in_reply_to_id and not parent then
    return nil, gone
  end
  local body = posts.text(params.body)
  if not body then
    return nil, { message = "A post needs a text.", fatal = true }
  end
  return posts.add {
    thread = posts.text(params.thread_id) or (parent and parent.thread_id) or "board",
    in_reply_to = params.in_reply_to_id,
    author = posts.text(params.author_id) or "agent",
    name = posts.text(params.sender_name) or "Our team",
    body = body,
  }
end

return sendapi.connector(os.getenv "SENDAPI_TOKEN" or error "SENDAPI_TOKEN is not set", {
  messages = {
    list = function(params)
      return posts.list(params.since_id or 0)
    end,
    show = function(params)
      return posts.find(params.id)
    end,
    create = create,
    delete = marking("deleted", true),
    spam = marking("spam", true),
    ham = marking("spam", false),
    reply = true,
  },
  options = { "messages.text", "messages.no_title" },
  locales = {
    default = { spam = "Mark as spam", ham = "Not spam" },
    fr = { spam = "Marquer comme indésirable", ham = "Pas indésirable" },
  },
  store = ngx and ngx.shared.connector or nil,
})
