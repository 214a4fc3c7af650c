--- What the agent's screen knows: sources, and conversations as they come in and go out.
--
-- Pure: the clock is given with every change. Every change is an event (events.lua):
-- `thread`, `message`, `typing`, `read`, `source`, `clear`.
local cjson = require "cjson"
local conversations = require "sendapi.sandbox.conversations"
local encode = require "sendapi.sandbox.encode"
local events = require "sendapi.sandbox.events"
local intake = require "sendapi.sandbox.intake"
local typing_marks = require "sendapi.sandbox.typing_marks"
local view = require "sendapi.sandbox.view"

local text = intake.text

local MOST_USERS = 200 -- that `users.create` has told of
local LONGEST_TITLE = 1000 -- bytes

local state = {}

---@class sendapi.sandbox.State
---@field events sendapi.sandbox.Events
---@field conversations sendapi.sandbox.Conversations
---@field sources table<string, table> id -> what is known of it, without its token
local State = {}
State.__index = State

---@param settings { limit: integer?, messages: integer?, bytes: integer?,
---  events: sendapi.sandbox.Events? }|nil `limit` threads are kept (1,000)
---@return sendapi.sandbox.State
function state.new(settings)
  settings = settings or {}
  local self = setmetatable({
    events = settings.events or events.new(),
    conversations = conversations.new {
      threads = settings.limit,
      messages = settings.messages,
      bytes = settings.bytes,
    },
    sources = {},
    ids = {},
  }, State)
  self.users, self.user_keys = {}, {}
  self.typing = setmetatable({}, { __mode = "k" }) -- threads in which somebody types
  self:prepare_events()
  return self
end

--- What makes an event's data of its subjects.
function State:prepare_events()
  local sources = self.sources
  function self.thread_data(thread)
    return view.thread(thread, sources[thread.source])
  end
  function self.message_data(message)
    return {
      thread = message.thread.key,
      message = view.message(message, sources[message.source]),
    }
  end
end

local function tell_thread(self, thread)
  self.events:add("thread", self.thread_data, thread)
end

local function tell_message(self, message)
  self.events:add("message", self.message_data, message)
end

-- Sources ---------------------------------------------------------------------

--- Changes what is known of a source, or adds one; null takes a field away.
---@param id string
---@param changes table
---@return table source
function State:source(id, changes)
  local source = self.sources[id]
  if not source then
    source = { id = id }
    self.sources[id] = source
    table.insert(self.ids, id)
    table.sort(self.ids)
  end
  for name, value in pairs(changes or {}) do
    source[name] = value ~= cjson.null and value or nil
  end
  if changes and changes.syncing == false then
    source.syncing = false
  end
  self.events:add("source", view.source, source)
  return source
end

--- The options of a source: as they were set, or where none were, as its connector says.
---@param id string
---@return string[]|table<string, true>
function State:options(id)
  local source = self.sources[id]
  if not source or (source.options and source.options[1]) then
    return source and source.options or {}
  end
  return source.info and source.info.options or {}
end

--- Whether the source has an option.
---@param id string
---@param option string
---@return boolean
function State:has_option(id, option)
  local options = self:options(id)
  for _, name in ipairs(options) do
    if name == option then
      return true
    end
  end
  return options[option] == true
end

--- Ends the typing that nobody has ended. To be called about once a second.
---@param now number
function State:expire(now)
  typing_marks.expire(self, now)
end

-- What comes in ----------------------------------------------------------------

local function mark_as_read(self, source, params, at)
  local id = text(params.id)
  local message = id and self.conversations:any_message(source, id)
  if message then
    message.read_at = at
    self.events:add("read", function()
      return { thread = message.thread.key, message = id, at = at }
    end)
  end
end

--- Users who were made before they said anything; the newest of them.
local function note_user(self, source, params)
  local user = intake.user(params)
  local key = source .. "\n" .. user.id
  if not self.users[key] then
    table.insert(self.user_keys, key)
    if #self.user_keys > MOST_USERS then
      self.users[table.remove(self.user_keys, 1)] = nil
    end
  end
  user.source = source
  self.users[key] = user
end

--- A thread's title, of its content.
local function title_of(content)
  local title = text(content.title)
  return title and encode.excerpt(title, LONGEST_TITLE)
end

local function note_message(self, message, params, at)
  local thread = message.thread
  intake.note_user(thread, params.author)
  if message.from == "customer" then
    thread.unread, thread.customer = thread.unread + 1, message
    typing_marks.clear(self, thread)
  end
  if message.object == "threads" then
    local content = intake.params(message)
    thread.title, thread.actions = title_of(content), content.actions
  end
  self.conversations:touch(thread, at)
  tell_message(self, message)
  tell_thread(self, thread)
end

local POLLED = {} -- in the place of a request

--- A content of a customer, or of an agent elsewhere.
local function receive(self, source, object, params, at, request)
  local id = text(params.id)
  if not id then
    return nil
  end
  local known = self.conversations:message(source, object, id)
  if known then
    intake.update(self.conversations, known, params)
    if request ~= POLLED then
      known.times = known.times + (known.is_polled and 0 or 1)
      known.is_polled = false
    end
    tell_message(self, known)
    return known
  end
  local is_polled = request == POLLED
  local body = not is_polled and request or nil
  local message = intake.message(self, source, object, params, at, body)
  message.is_polled = is_polled
  self.conversations:add(message, at)
  note_message(self, message, params, at)
  return message
end

local changes = {
  ["users.create"] = note_user,
  ["status.mark_as_read"] = mark_as_read,
  ["typing.start"] = typing_marks.start,
  ["typing.stop"] = typing_marks.stop,
}

--- An accepted request of the Send API.
---@param source string the id
---@param action string
---@param params table its own from here on
---@param at number
---@param request string|nil the whole body, from which short messages are read again
---@return sendapi.sandbox.MessageRecord|nil message when it brought one
function State:apply(source, action, params, at, request)
  local change = changes[action]
  if change then
    change(self, source, params, at)
    return nil
  end
  local object = action:match "^([^.]+)%.create$"
  return object and receive(self, source, object, params, at, request)
end

--- An object that polling brought.
---@param source string
---@param object string `messages`, `private_messages` or `threads`
---@param item table
---@param at number
---@return sendapi.sandbox.MessageRecord|nil
function State:take(source, object, item, at)
  return receive(self, source, object, item, at, POLLED)
end

-- What agents do -----------------------------------------------------------------

--- What an agent has written, under way to the connector: its state is `sending`.
---@param thread sendapi.sandbox.ThreadRecord
---@param object string
---@param params table
---@param at number
---@return sendapi.sandbox.MessageRecord
function State:reply(thread, object, params, at)
  local content, bytes = intake.content(params)
  local message = {
    thread = thread,
    source = thread.source,
    object = object,
    params = content,
    bytes = bytes,
    from = "agent",
    at = at,
    times = 1,
    state = "sending",
    tries = 0,
  }
  thread.unread = 0
  self.conversations:add(message, at)
  note_message(self, message, content, at)
  return message
end

--- Another try to send it.
function State:trying(message, try)
  message.tries = try
  if try > 1 then
    tell_message(self, message)
  end
end

--- The connector has it.
---@param message sendapi.sandbox.MessageRecord
---@param created table what it answered, with an `id`
function State:sent(message, created)
  message.state, message.error = "sent", nil
  message.params.actions = created.actions or message.params.actions
  local id = text(created.id)
  if message.thread.next and id then
    self.conversations:name(message, id)
    if message.object == "threads" then
      self.conversations:rename(message.thread, id)
    end
  end
  tell_message(self, message)
end

--- It was not accepted.
---@param reason string a sentence
function State:failed(message, reason)
  message.state, message.error = "failed", reason
  tell_message(self, message)
end

local REMOVALS = { delete = "deleted", unpublish = "unpublished" }

--- What an action made of an object.
---@param message sendapi.sandbox.MessageRecord
---@param operation string
---@param answer table the object as it is now
function State:changed(message, operation, answer)
  intake.update(self.conversations, message, answer)
  if REMOVALS[operation] or operation == "publish" then
    message.removed = REMOVALS[operation]
  end
  tell_message(self, message)
  if message.object == "threads" then
    self:thread_changed(message.thread, operation, intake.params(message))
  end
end

--- The same for a thread whose own content is not here.
---@param thread sendapi.sandbox.ThreadRecord
---@param operation string
---@param answer table the thread as it is now
function State:thread_changed(thread, operation, answer)
  thread.title, thread.actions = title_of(answer) or thread.title, answer.actions
  if REMOVALS[operation] or operation == "publish" then
    thread.removed = REMOVALS[operation]
  end
  tell_thread(self, thread)
end

--- The agent has seen what is there.
---@param thread sendapi.sandbox.ThreadRecord
function State:seen(thread)
  thread.unread = 0
  tell_thread(self, thread)
end

-- What is there ------------------------------------------------------------------

--- Finds a thread by its key, or by what the API calls its id.
---@param name string
---@param source string|nil only there
---@return sendapi.sandbox.ThreadRecord|nil
function State:find(name, source)
  local thread = self.conversations.by_key[name]
  if thread then
    return (not source or thread.source == source) and thread or nil
  end
  for _, id in ipairs(source and { source } or self.ids) do
    for _, kind in ipairs { "thread", "author", "private" } do
      thread = self.conversations:find(id, kind, name)
      if thread then
        return thread
      end
    end
  end
end

--- A thread with its messages, or nil.
---@param key string
---@return { thread: table, messages: table[] }|nil
function State:thread(key)
  local thread = self.conversations.by_key[key]
  if not thread then
    return nil
  end
  local messages = {}
  for place = thread.first, thread.last do
    messages[#messages + 1] = view.message(thread.messages[place], self.sources[thread.source])
  end
  return { thread = self.thread_data(thread), messages = encode.list(messages) }
end

--- Everything but the messages, as of the last event.
---@return { event: integer, sources: table[], threads: table[], users: table[] }
function State:snapshot()
  local sources, threads, users = {}, {}, {}
  for i, id in ipairs(self.ids) do
    sources[i] = view.source(self.sources[id])
  end
  for i, thread in ipairs(self.conversations:threads()) do
    threads[i] = self.thread_data(thread)
  end
  for i, key in ipairs(self.user_keys) do
    users[i] = self.users[key]
  end
  return {
    event = self.events.last,
    sources = encode.list(sources),
    threads = encode.list(threads),
    users = encode.list(users),
  }
end

local function nothing()
  return {}
end

--- Forgets what was received; sources stay.
function State:clear()
  self.conversations:clear()
  self.users, self.user_keys = {}, {}
  self.events:add("clear", nothing)
end

return state
