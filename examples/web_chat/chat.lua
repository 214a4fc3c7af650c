-- luacheck: std ngx_lua
--- A web chat: visitors on this side, agents in Engage Digital on the other (nginx.conf beside this
-- file; agents.lua talks to Engage Digital, room.lua remembers, page/ is what visitors see).
--
--   POST /say     {"key": "…", "text": "Hello"}; who chooses from an agent's message also says its
--                 "payload" and "in_reply_to". Answered when it is delivered. Who sends again what
--                 was not answered gives the same key.
--   POST /file    ?key=…&name=photo.png, the file as application/octet-stream
--   POST /typing  {"text": "Hel"}, or {} when the typing stopped; answered at once
--   POST /read    {"id": "…"}, when an agent's message has been seen
--   GET  /events  the thread as server-sent events: messages of both sides, places in the queue
--
-- A visitor is whoever has the cookie, which no other site can use: it is SameSite=Strict, the
-- types of the bodies are none that a form can send, and where the browser says which site a
-- request comes from, that counts. Answers are {"ok": true, …} or {"ok": false, "message": …}.
local agents = require "agents"
local cjson = require "cjson.safe"
local room = require "room"
local sendapi = require "sendapi"

local client = agents.client

local M = {}

-- change: "__Host-visitor" and "; Secure", behind TLS: then no other host of the domain can set it,
-- and so make somebody a visitor whose secret it knows.
local COOKIE, ATTRIBUTES = "visitor", "; Path=/; HttpOnly; SameSite=Strict; Max-Age=86400"

local LONGEST_TEXT = 4000 -- bytes
local LOOK = 0.25 -- seconds between two looks for events
local BREATH = 15 -- seconds after which an idle stream shows that it lives
local STREAM = 300 -- seconds after which a stream ends; the page opens another one

-- Answers.

local function answer(status, content)
  ngx.status = status
  ngx.header["Content-Type"] = "application/json"
  ngx.header["Cache-Control"] = "no-store"
  ngx.print(cjson.encode(content), "\n")
  return ngx.exit(ngx.OK)
end

local function refuse(status, message)
  return answer(status, { ok = false, message = message })
end

local sentences = {
  [403] = "That is not for you.",
  [404] = "There is nothing.",
  [413] = "That is too large.",
  [429] = "Too much at once: please wait a moment.",
}

--- The body of an error of nginx itself. To be called where error_page leads.
function M.explain()
  return refuse(ngx.status, sentences[ngx.status] or "Something went wrong.")
end

--- Visitors are told what they can mend; all else is for the log, which holds nothing they wrote.
local function explain_failure(err)
  if err.class == "message" or err.code == "invalid_params" then
    ngx.log(ngx.WARN, "not accepted: ", err)
    return refuse(422, "This cannot be sent.")
  end
  ngx.log(ngx.ERR, "not delivered: ", err)
  return refuse(502, "This could not be delivered now.")
end

-- Requests.

--- Whether the browser says that another site's page makes this request.
local function is_foreign()
  local site, origin = ngx.var.http_sec_fetch_site, ngx.var.http_origin
  local host = origin and origin:match "^https?://(.+)$"
  return site ~= nil and site ~= "same-origin" or origin ~= nil and host ~= ngx.var.http_host
end

--- The thread that the cookie is for, or nil.
local function thread_of_cookie()
  return room.thread_of_secret(ngx.var["cookie_" .. COOKIE])
end

--- The visitor's thread; when the request is not theirs, it is answered, and this does not return.
local function thread_of_visitor()
  local thread = thread_of_cookie()
  if not thread or is_foreign() then
    return refuse(403, sentences[403])
  end
  return thread
end

--- The same for a request that does something: a POST of a type that no form has.
local function thread_of_post(media_type)
  if ngx.req.get_method() ~= "POST" then
    ngx.header["Allow"] = "POST"
    return refuse(405, "It takes a POST.")
  end
  local given = (ngx.var.content_type or ""):match "^[^;%s]*"
  if given ~= media_type then
    return refuse(415, "It takes " .. media_type .. ".")
  end
  return thread_of_visitor()
end

--- The visitor's thread and the JSON object that was sent.
local function read_request()
  local thread = thread_of_post "application/json"
  ngx.req.read_body()
  local body = ngx.req.get_body_data() or ""
  local request = body:find "^%s*{" and cjson.decode(body)
  if type(request) ~= "table" then
    return refuse(400, "It takes a JSON object.")
  end
  return thread, request
end

--- A text of a request, nil when it is not there.
local function optional_text(request, name, maximum)
  local value = request[name]
  if value == nil or value == cjson.null then
    return nil
  elseif type(value) ~= "string" or value == "" or #value > maximum then
    return refuse(400, ("'%s' must be a text of 1 to %d bytes."):format(name, maximum))
  end
  return value
end

local function text_of(request, name, maximum)
  return optional_text(request, name, maximum) or refuse(400, ("'%s' is missing."):format(name))
end

--- What makes a message's id its visitor's own.
local function key_of(request)
  local key = text_of(request, "key", 64)
  if #key < 8 or key:find "[^%w-]" then
    return refuse(400, "'key' must be 8 to 64 letters and digits.")
  end
  return key
end

-- What visitors do.

--- Delivers a message, and lets the visitor's own pages know.
local function deliver(thread, key, message, file)
  local number = thread:sub(-4)
  message.id, message.thread_id, message.format = room.id_of(thread, key), thread, "text"
  message.author = {
    id = thread,
    screenname = "Visitor " .. number,
    created_at = room.enter(thread),
  }
  local ok, err = client.messages:create(message)
  if not ok then
    return explain_failure(err)
  end
  if room.is_first(message.id) then
    local said = { type = "message", from = "visitor", text = message.body, file = file }
    said.id = message.id
    room.append(thread, said)
  end
  return answer(200, { ok = true, id = message.id })
end

--- An agent's message of this thread.
local function agents_message(thread, id)
  local event = room.thread_of_id(id) == thread and room.find(thread, id)
  return event and event.from == "agent" and id or refuse(404, "There is no such message.")
end

function M.say()
  local thread, request = read_request()
  local message = { body = text_of(request, "text", LONGEST_TEXT) }
  local in_reply_to = optional_text(request, "in_reply_to", 200)
  local payload = optional_text(request, "payload", 1000)
  message.in_reply_to_id = in_reply_to and agents_message(thread, in_reply_to)
  message.structured_reply = payload and { payload = payload }
  return deliver(thread, key_of(request), message)
end

--- nginx has put the body into a file; the library encodes it without a Lua string of it.
function M.file()
  local thread = thread_of_post "application/octet-stream"
  local request = ngx.req.get_uri_args(10)
  local key, name = key_of(request), text_of(request, "name", 200):gsub("[%c/\\]", "_")
  ngx.req.read_body()
  local path = ngx.req.get_body_file()
  if not path or ngx.var.http_content_length == "0" then
    return refuse(400, "The file is empty.")
  end
  return deliver(thread, key, { attachments = { sendapi.file(path, { filename = name }) } }, name)
end

--- Who only types or reads waits for nothing, so the call has a function: it is told the outcome.
local function quietly(call, params)
  local ok, err = call(params, function(_, err)
    if err and err.code ~= "stale" then
      ngx.log(ngx.WARN, "not delivered: ", err)
    end
  end)
  return ok and answer(202, { ok = true }) or explain_failure(err)
end

function M.typing()
  local thread, request = read_request()
  local preview = optional_text(request, "text", LONGEST_TEXT)
  return quietly(function(params, callback)
    if preview then
      return client.typing:start(params, callback)
    end
    return client.typing:stop(params, callback)
  end, { thread_id = thread, preview = preview })
end

function M.read()
  local thread, request = read_request()
  local id = agents_message(thread, text_of(request, "id", 200))
  if not room.is_first("read " .. id) then
    return answer(200, { ok = true })
  end
  return quietly(function(params, callback)
    return client.status:mark_as_read(params, callback)
  end, { id = id })
end

-- What visitors get.

--- Lets who opens the page be a visitor. To be called in access_by_lua.
function M.greet()
  if not thread_of_cookie() then
    ngx.header["Set-Cookie"] = COOKIE .. "=" .. room.new_secret() .. ATTRIBUTES
  end
end

local function print_event(number, text)
  ngx.print("id: ", number, "\ndata: ", text, "\n\n")
end

--- Sends what is new, and now and then a comment, without which nobody notices a dead connection.
local function stream(thread, last)
  local began, breathed = ngx.now(), ngx.now()
  ngx.print "retry: 1000\n\n"
  while ngx.now() - began < STREAM and not ngx.worker.exiting() do
    local newest = room.each_since(thread, last, print_event)
    if ngx.now() - breathed > BREATH then
      ngx.print ":\n\n"
      breathed = ngx.now()
    end
    if not ngx.flush(true) then
      return
    end
    last = newest
    ngx.sleep(LOOK)
  end
end

function M.events()
  local thread = thread_of_visitor()
  ngx.header["Content-Type"] = "text/event-stream"
  ngx.header["Cache-Control"] = "no-store"
  ngx.header["X-Accel-Buffering"] = "no"
  local last = (ngx.var.http_last_event_id or ""):match "^%d%d?%d?%d?%d?%d?%d?%d?%d?$"
  return stream(thread, tonumber(last) or 0)
end

return M
