-- luacheck: std ngx_lua
--- A connector of this library inside a spec's nginx, which does what the body of a reply asks for:
--
--   later N    a resource error, N times
--   fatal      a resource error that is fatal
--   drop N     no answer, N times
--   unsigned   an answer without a signature
--
-- and answers nothing while it is held. `seen` are the requests that came, `posts` what
-- `messages.list` has, oldest first.
local cjson = require "cjson"
local sendapi = require "sendapi"

local room = { is_held = false, seen = {}, posts = {}, tries = {}, actions = { "spam", "delete" } }

local TOKEN = "room"
local PATIENCE = 20 -- seconds that it is held at most

local function find(id)
  for _, post in ipairs(room.posts) do
    if post.id == id then
      return post
    end
  end
end

local function add(id, body)
  local author = { id = "u", screenname = "U", created_at = 1 }
  room.posts[#room.posts + 1] = { id = id, thread_id = "t", body = body, author = author }
  return room.posts[#room.posts]
end

local function create(params)
  local kind, number = params.body:match "^(%a+) ?(%d*)$"
  if kind == "later" and room.tries[params.content_id] <= tonumber(number) then
    return nil, "not now"
  elseif kind == "fatal" then
    return nil, { message = "no such thread", fatal = true }
  end
  return { id = "c" .. #room.seen, actions = { "spam" } }
end

local connector = sendapi.connector(TOKEN, {
  messages = {
    list = function(params)
      return sendapi.page(room.posts, params.since_id, 2)
    end,
    create = create,
    delete = function(params)
      return find(params.id)
    end,
    spam = function(params)
      find(params.id).categories = { "spam" }
      return find(params.id)
    end,
    explode = function()
      error "secret"
    end,
  },
  messaging = {
    queuing_update = function() end,
  },
  locales = { default = { spam = "Spam!" } },
  log = function() end,
  store = false,
})

--- How often this content came, this time among them.
local function count(request)
  local params = request.params
  local id = type(params) == "table" and params.content_id
  if id then
    room.tries[id] = (room.tries[id] or 0) + 1
    return room.tries[id]
  end
  return 1
end

local function wait_until_let_go()
  for _ = 1, PATIENCE * 100 do
    if not room.is_held then
      return
    end
    ngx.sleep(0.01)
  end
end

--- Answers a request of the sandbox.
function room.handle()
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  local request = cjson.decode(body)
  room.seen[#room.seen + 1] = request
  wait_until_let_go()
  local try = count(request)
  local wanted = type(request.params) == "table" and request.params.body or ""
  local drops = tonumber(wanted:match "^drop (%d+)$")
  if drops and try <= drops then
    return ngx.exit(444)
  end
  local header = ngx.var.http_x_smccsdk_signature
  local status, text, headers = connector:handle(body, header)
  ngx.status = status
  for name, value in pairs(headers) do
    ngx.header[name] = value
  end
  if wanted == "unsigned" then
    ngx.header["X-SMCCSDK-SIGNATURE"] = nil
  end
  ngx.print(text)
end

--- Adds a post of a customer: `?id=…&body=…`.
function room.post()
  add(ngx.var.arg_id, ngx.unescape_uri(ngx.var.arg_body or "b")).actions = room.actions
  ngx.print "ok"
end

--- Answers nothing from now on, or goes on: `?is=on`, `?is=off`.
function room.hold()
  room.is_held = ngx.var.arg_is == "on"
  ngx.print "ok"
end

--- Tells what came since the last time.
function room.tell()
  ngx.print(cjson.encode(room.seen))
  room.seen = {}
end

return room
