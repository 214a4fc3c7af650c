-- luacheck: std ngx_lua
--- What the screen and tests may ask: `GET /_sandbox/…`. Each function gets what stands behind its
-- name in the path, and gives a status and a table; no status: it has answered.
local encode = require "sendapi.sandbox.encode"
local exchanges = require "sendapi.sandbox.exchanges"
local faults = require "sendapi.sandbox.faults"
local stream = require "sendapi.sandbox.stream"
local view = require "sendapi.sandbox.view"
local world = require "sendapi.sandbox.world"

local MOST_MESSAGES = 1000 -- in an answer
local LONGEST_WAIT = 60 -- seconds

local inquiries = {}

local function failed(status, message)
  return status, { error = message }
end

--- A whole number that is not negative, of a text; nil when it is none.
local function whole(text)
  return text and #text <= 15 and text:find "^%d+$" and tonumber(text) or nil
end

function inquiries.state()
  local faults_now = world.faults()
  local snapshot = world.state:snapshot()
  snapshot.faults = faults_now
  return 200, snapshot
end

function inquiries.threads(key)
  local found = key and world.state:thread(key)
  if not found then
    return failed(404, "There is no such thread.")
  end
  return 200, found
end

function inquiries.faults()
  local kinds = faults.list()
  for _, kind in ipairs(kinds) do
    kind.needs = encode.list(kind.needs)
  end
  return 200, { kinds = kinds, on = world.faults() }
end

function inquiries.wire(text)
  if not text then
    return 200, encode.list(world.wire:list())
  end
  local number = whole(text)
  local recorded = number and world.wire:get(number)
  if not recorded then
    return failed(404, "There is no such exchange, or not any more.")
  end
  return 200, exchanges.view(recorded, true)
end

function inquiries.events()
  local header = ngx.var.http_last_event_id
  local given = header and header ~= "" and header or ngx.var.arg_after
  local after = given and whole(given) or world.events.last
  if given and not whole(given) then
    return failed(400, "The number of the last event is no number.")
  elseif not stream.events(after) then
    return failed(503, "Too many follow the events already.")
  end
end

--- What is wrong with the parameters of `messages`, or nil.
local function problem_of(given)
  if given.since and not whole(given.since) then
    return "since: expected a number."
  elseif given.wait and not (tonumber(given.wait) and tonumber(given.wait) >= 0) then
    return "wait: expected seconds."
  elseif given.from and given.from ~= "customer" and given.from ~= "agent" then
    return "from: expected customer or agent."
  end
end

--- Whether a message is among those that are asked for: without `from` all that were received.
local function passes(given)
  local thread = given.thread and world.state:find(given.thread, given.source)
  if given.thread and not thread then
    return nil
  end
  return function(message)
    local is_wanted = message.state == "received"
    if given.from then
      is_wanted = message.from == given.from
    end
    return is_wanted
      and (not thread or message.thread == thread)
      and (not given.source or message.source == given.source)
  end
end

local function messages_of(given)
  local does_pass = passes(given)
  local since = whole(given.since) or 0
  local found = does_pass and world.state.conversations:after(since, does_pass, MOST_MESSAGES) or {}
  local messages = {}
  for i, message in ipairs(found) do
    messages[i] = view.message(message, world.state.sources[message.source])
  end
  return messages[1] and messages
end

--- The parameters behind the question mark, each once and as text.
local function parameters()
  local given = {}
  for name, value in pairs(ngx.req.get_uri_args(20)) do
    given[name] = type(value) == "table" and value[1] or value
    if type(given[name]) ~= "string" then
      given[name] = nil
    end
  end
  return given
end

function inquiries.messages()
  local given = parameters()
  local problem = problem_of(given)
  if problem then
    return failed(400, problem)
  end
  local seconds = math.min(tonumber(given.wait) or 0, LONGEST_WAIT)
  local messages, is_admitted = stream.until_found(function()
    return messages_of(given)
  end, seconds)
  if not is_admitted then
    return failed(503, "Too many wait already.")
  end
  return 200, { messages = encode.list(messages), last = world.state.conversations.number }
end

return inquiries
