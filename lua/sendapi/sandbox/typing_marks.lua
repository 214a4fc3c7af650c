--- Who types in which thread: until they stop, write something, or time is over.
--
-- Pure.
local collections = require "sendapi.collections"
local encode = require "sendapi.sandbox.encode"
local intake = require "sendapi.sandbox.intake"
local json = require "sendapi.json"
local view = require "sendapi.sandbox.view"

local text = intake.text

local SECONDS = 10
local MOST = 20 -- in a thread
local LONGEST_PREVIEW = 1000 -- bytes

local typing_marks = {}

local function data_of(thread, typing)
  local data = view.typing(typing)
  data.thread, data.on = thread.key, typing.on
  return data
end

local function finish(state, thread, id)
  local typing = thread.typing[id]
  thread.typing[id] = nil
  state.events:add("typing", data_of, thread, { user = typing.user, on = false })
end

--- Ends all typing in a thread.
---@param state sendapi.sandbox.State
---@param thread sendapi.sandbox.ThreadRecord
function typing_marks.clear(state, thread)
  while next(thread.typing) ~= nil do
    finish(state, thread, (next(thread.typing)))
  end
end

--- The conversation that somebody types in, and the author of the message before.
local function place_of(state, source, params, at)
  local answered = text(params.in_reply_to_id)
  local message = answered and state.conversations:any_message(source, answered)
  if message then
    return message.thread, intake.params(message).author
  end
  local id = text(params.thread_id)
  if not id then
    return nil
  end
  local thread = state.conversations:open(source, "thread", id, at)
  local last = thread.customer
  return thread, last and intake.params(last).author
end

--- `typing.start`.
---@param state sendapi.sandbox.State
---@param source string
---@param params table
---@param at number
function typing_marks.start(state, source, params, at)
  local thread, author = place_of(state, source, params, at)
  if not thread then
    return
  end
  local user = json.type(author) == "object" and text(author.id) and intake.user(author) or nil
  local id = user and user.id or ""
  if not thread.typing[id] and collections.count(thread.typing) >= MOST then
    return
  end
  local preview = encode.excerpt(text(params.preview) or "", LONGEST_PREVIEW)
  local typing = { user = user, preview = preview, on = true, ends = at + SECONDS }
  state.typing[thread], thread.typing[id] = true, typing
  if thread.last == 0 then
    state.events:add("thread", state.thread_data, thread)
  end
  state.events:add("typing", data_of, thread, typing)
end

--- `typing.stop`.
---@param state sendapi.sandbox.State
---@param source string
---@param params table
---@param at number
function typing_marks.stop(state, source, params, at)
  local thread = place_of(state, source, params, at)
  if thread then
    typing_marks.clear(state, thread)
  end
end

--- Ends the typing that nobody has ended.
---@param state sendapi.sandbox.State
---@param now number
function typing_marks.expire(state, now)
  for thread in pairs(state.typing) do
    for id, typing in pairs(thread.typing) do
      if typing.ends <= now then
        finish(state, thread, id)
      end
    end
    if next(thread.typing) == nil then
      state.typing[thread] = nil
    end
  end
end

return typing_marks
