--- What the agent's screen knows, for specs: a state of one source, "plain".
local cjson = require "cjson"
local encode = require "sendapi.sandbox.encode"
local new_state = require("sendapi.sandbox.state").new

local screen_state = {}

local function changed(made, more)
  for name, value in pairs(more or {}) do
    made[name] = value
  end
  return made
end

function screen_state.user(id, more)
  return changed({ id = id, screenname = "Name of " .. id, created_at = "d" }, more)
end

function screen_state.message(id, thread, more)
  local author = screen_state.user "c"
  return changed({ id = id, thread_id = thread, body = "body of " .. id, author = author }, more)
end

--- As the interface says it.
function screen_state.said(value)
  return cjson.decode(encode.json(value))
end

--- A state of three threads of four messages at most.
function screen_state.new()
  local state = new_state { limit = 3, messages = 4 }
  state:source("plain", { name = "Plain" })
  return state
end

--- Has the source "plain" receive something.
function screen_state.apply(state, params, action, at)
  return state:apply("plain", action or "messages.create", params, at or 100)
end

--- A thread and its messages, as the interface says them; nil when it is not there.
function screen_state.thread(state, key)
  local found = state:thread(key)
  if found then
    return screen_state.said(found.thread), screen_state.said(found.messages)
  end
end

--- The keys of all threads, in a line.
function screen_state.keys(state)
  local list = {}
  for i, one in ipairs(screen_state.said(state:snapshot()).threads) do
    list[i] = one.key
  end
  return table.concat(list, " ")
end

return screen_state
