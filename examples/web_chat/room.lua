-- luacheck: std ngx_lua
--- What the workers share: who the visitors are and what was said, in `lua_shared_dict chat`. It
-- holds no more than its size: what is oldest goes first, and everything after a day.
--
-- A visitor is known by a secret, which only the visitor's cookie holds, and a thread, which
-- Engage Digital knows. A thread's events are numbered; the last 200 are kept.
local cjson = require "cjson"
local sendapi = require "sendapi"

local M = {}

local LIFE = 86400 -- seconds
local KEPT = 200 -- events of a thread

local dict = ngx.shared.chat
local token = os.getenv "SENDAPI_TOKEN" or error "SENDAPI_TOKEN is not set"

--- A new visitor's secret: 32 hexadecimal digits.
function M.new_secret()
  local file = assert(io.open("/dev/urandom", "rb"))
  file:setvbuf "no"
  local bytes = file:read(16)
  file:close()
  return (bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

--- The thread of a visitor, or nil when this is no secret of ours. It tells nothing of the secret.
function M.thread_of_secret(secret)
  if type(secret) ~= "string" or #secret ~= 32 or secret:find "%X" then
    return nil
  end
  return "chat-" .. sendapi.sign(token, "thread of " .. secret):sub(1, 32)
end

--- Notes that a thread is in use.
---@return number since epoch seconds of the first time
function M.enter(thread)
  local key = "since " .. thread
  dict:add(key, ngx.time(), LIFE)
  dict:expire(key, LIFE)
  return dict:get(key) or ngx.time()
end

function M.is_known(thread)
  return type(thread) == "string" and dict:get("since " .. thread) ~= nil
end

--- Every message's id begins with its thread.
function M.id_of(thread, name)
  return thread .. "." .. name
end

function M.thread_of_id(id)
  return type(id) == "string" and id:match "^(.+)%.[%w-]+$" or nil
end

--- True the first time that something of a thread is done, by its name.
function M.is_first(name)
  return dict:add("done " .. name, true, LIFE) == true
end

local function event_key(thread, number)
  return ("event %s %d"):format(thread, number)
end

-- In JSON "<" may be written so, too, and then nothing in it looks like a tag, whoever reads it.
local function encode(event)
  return (cjson.encode(event):gsub("<", "\\u003c"))
end

--- Adds an event; without an `id` it is given one.
---@return string id
function M.append(thread, event)
  local last = "last " .. thread
  local number = assert(dict:incr(last, 1, 0, LIFE))
  dict:expire(last, LIFE)
  event.id = event.id or M.id_of(thread, "a" .. number)
  event.at = ngx.time()
  assert(dict:set(event_key(thread, number), encode(event), LIFE))
  dict:set("number " .. event.id, number, LIFE)
  dict:delete(event_key(thread, number - KEPT))
  return event.id
end

--- The event of an id, or nil.
function M.find(thread, id)
  local number = dict:get("number " .. id)
  local text = number and dict:get(event_key(thread, number))
  return text and cjson.decode(text)
end

--- An event is numbered a moment before it is there, and a worker may be slow. Gives also what is
-- left of the looks that are worth waiting for: what was forgotten never comes.
local function read(thread, number, looks)
  local text = dict:get(event_key(thread, number))
  while not text and looks > 0 do
    ngx.sleep(0.01)
    looks = looks - 1
    text = dict:get(event_key(thread, number))
  end
  return text, looks
end

--- Calls a function with the number and the JSON of each event after a number.
---@return number last the number to go on from
function M.each_since(thread, number, visit)
  local last, looks = dict:get("last " .. thread) or 0, 50
  if number > last then
    number = 0 -- forgotten, and begun anew
  end
  for next_number = math.max(number, last - KEPT) + 1, last do
    local text
    text, looks = read(thread, next_number, looks)
    if text then
      visit(next_number, text)
    end
  end
  return last
end

return M
