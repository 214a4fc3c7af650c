-- luacheck: std ngx_lua
--- A gateway between a web chat and Engage Digital, in nginx (nginx.conf beside this file).
--
--   POST /chat     {"thread": "42", "author": {"id": "7", "name": "Ann"}, "text": "Hello"}
--                  answers when the message is delivered, or says why it is not; with an outbox,
--                  when it is stored there. `id` may be given: whoever sends again what was not
--                  answered gives the same one.
--   POST /typing   {"thread": "42", "text": "Hel"}, or without `text` when the typing stopped;
--                  answers at once
--   GET  /metrics  the figures, for Prometheus
--
-- Every answer but the figures is JSON: {"ok": true, …} or {"ok": false, "error": …, "message": …}.
-- Nothing here blocks nginx: while one request waits for Engage Digital, others are served.
local cjson = require "cjson.safe"
local sendapi = require "sendapi"

local M = {}

local OUTBOX = os.getenv "SENDAPI_OUTBOX"
local client

--- Makes the client of every worker. To be called in init_by_lua, where an error keeps nginx from
-- starting; connections come with the first message.
function M.load()
  local source_id = os.getenv "SENDAPI_SOURCE" or error "SENDAPI_SOURCE is not set"
  local token = os.getenv "SENDAPI_TOKEN" or error "SENDAPI_TOKEN is not set"
  client = sendapi.client(source_id, token, {
    deadline = 10, -- seconds, with all attempts: a visitor waits no longer
    connections = 64,
    outbox = OUTBOX, -- a path: what was answered outlives crashes and outages
  })
end

--- Goes on with what the outbox still has, before anybody calls. To be called in
-- init_worker_by_lua.
function M.begin()
  if OUTBOX then
    client:outbox()
  end
end

-- Answers.

local function answer(status, content)
  ngx.status = status
  ngx.header["Content-Type"] = "application/json"
  ngx.print(cjson.encode(content), "\n")
  return ngx.exit(ngx.OK)
end

local function refuse(status, code, message, field)
  return answer(status, { ok = false, error = code, message = message, field = field })
end

local sentences = {
  [400] = "the request is not HTTP as it should be",
  [403] = "that is not for you",
  [404] = "there is /chat, /typing and /metrics",
  [405] = "it takes another method",
  [413] = "the request is too large",
}

--- The body of an error of nginx itself. To be called where error_page leads.
function M.explain()
  local status = ngx.status
  return refuse(status, "http_" .. status, sentences[status] or "something went wrong")
end

-- By the error's code, and else by its class: what is wrong with the request is the visitor's to
-- mend, all else is not.
local status_by_code = {
  invalid_params = 400,
  request_too_large = 413,
  timeout = 504,
  queue_full = 503,
  storage = 503,
  closed = 503,
  no_memory = 503,
}

local status_by_class = {
  message = 422,
  throttled = 429,
  transient = 502,
  source = 502,
}

-- What the API's fields are called here.
local field_names = {
  ["params.id"] = "id",
  ["params.thread_id"] = "thread",
  ["params.body"] = "text",
  ["params.preview"] = "text",
  ["params.author.id"] = "author.id",
  ["params.author.screenname"] = "author.name",
}

--- Says why a message was not delivered. What is wrong with the source, or with the outbox, is for
-- the log, not for visitors.
local function explain_failure(err)
  local status = status_by_code[err.code] or status_by_class[err.class] or 500
  if err.class == "source" or err.code == "storage" then
    ngx.log(ngx.ERR, "the gateway is not set up well: ", err)
    return refuse(status, err.code, "the gateway cannot deliver now")
  end
  if status == 503 or status == 429 then
    ngx.header["Retry-After"] = 5
  end
  return refuse(status, err.code, err.message, field_names[err.field])
end

-- Requests.

--- The request's JSON object; when there is none, it is answered, and this does not return.
local function read_request()
  if ngx.req.get_method() ~= "POST" then
    ngx.header["Allow"] = "POST"
    return refuse(405, "http_405", sentences[405])
  end
  ngx.req.read_body()
  local request, message = cjson.decode(ngx.req.get_body_data() or "")
  if type(request) ~= "table" then
    return refuse(400, "bad_json", message or "the body must be a JSON object")
  end
  return request
end

--- A field that must be a text with something in it.
local function text_of(object, name, path)
  local value = object[name]
  if type(value) ~= "string" or value == "" then
    return refuse(400, "bad_request", "it must be a text that is not empty", path or name)
  end
  return value
end

function M.chat()
  local request = read_request()
  local author = type(request.author) == "table" and request.author or {}
  local message = {
    id = request.id and text_of(request, "id") or ngx.var.request_id,
    thread_id = text_of(request, "thread"),
    body = text_of(request, "text"),
    author = {
      id = text_of(author, "id", "author.id"),
      screenname = text_of(author, "name", "author.name"),
      created_at = ngx.time(),
    },
  }
  local ok, err = client.messages:create(message)
  if not ok then
    return explain_failure(err)
  end
  return answer(200, { ok = true, id = message.id })
end

--- Who only types waits for nothing, so the call has a function: it is told the outcome later.
local function on_typing(_, err)
  if err and err.code ~= "stale" then
    ngx.log(ngx.WARN, "typing was not delivered: ", err)
  end
end

function M.typing()
  local request = read_request()
  local thread = text_of(request, "thread")
  local ok, err
  if request.text == nil or request.text == "" or request.text == cjson.null then
    ok, err = client.typing:stop({ thread_id = thread }, on_typing)
  else
    local preview = text_of(request, "text")
    ok, err = client.typing:start({ thread_id = thread, preview = preview }, on_typing)
  end
  if not ok then
    return explain_failure(err)
  end
  return answer(202, { ok = true })
end

function M.metrics()
  ngx.header["Content-Type"] = "text/plain; version=0.0.4"
  ngx.print(sendapi.prometheus())
end

return M
