--- Threads and their messages, the newest of them: bounded in number and in bytes.
--
-- Pure. A thread is found by its source, kind and id, or by its key; a message by its source,
-- object and id, or by its number. Those of the thread that was active least recently are forgotten
-- first.
local encode = require "sendapi.sandbox.encode"
local intake = require "sendapi.sandbox.intake"

local conversations = {}

local MOST_THREADS = 1000
local MOST_MESSAGES = 1000 -- in each
local MOST_BYTES = 33554432 -- of all of them
local LONGEST_KEY = 200
local THREAD_OVERHEAD = 1024 -- bytes that a thread counts for besides its id

---@class sendapi.sandbox.ThreadRecord
---@field key string
---@field source string
---@field kind "thread"|"private"|"author"
---@field id string
---@field title string|nil
---@field messages table<integer, sendapi.sandbox.MessageRecord> from `first` to `last`
---@field first integer
---@field last integer
---@field unread integer
---@field at number when it was active last
---@field users table<string, table> authors by id, the first ones
---@field user_ids string[] theirs, in the order in which they came
---@field customer sendapi.sandbox.MessageRecord|nil the newest message of a customer
---@field typing table<string, table>

---@class sendapi.sandbox.MessageRecord
---@field n integer
---@field thread sendapi.sandbox.ThreadRecord
---@field source string
---@field object string
---@field id string|nil nil: a connector has not said it yet
---@field bytes integer what it counts for

---@class sendapi.sandbox.Conversations
---@field count integer of threads
---@field number integer of the newest message
---@field bytes integer
local Conversations = {}
Conversations.__index = Conversations

---@param limits { threads: integer?, messages: integer?, bytes: integer? }
---@return sendapi.sandbox.Conversations
function conversations.new(limits)
  local self = setmetatable({
    most_threads = limits.threads or MOST_THREADS,
    most_messages = limits.messages or MOST_MESSAGES,
    most_bytes = limits.bytes or MOST_BYTES,
    number = 0,
    first_number = 1,
    count = 0,
    bytes = 0,
    by_key = {},
    by_identity = {},
    by_id = {},
    by_number = {},
  }, Conversations)
  self.next, self.previous = self, self -- a ring: `next` is the one that was idle longest
  return self
end

local function nested(self, first, second)
  local outer = self[first]
  if not outer then
    outer = {}
    self[first] = outer
  end
  local inner = outer[second]
  if not inner then
    inner = {}
    outer[second] = inner
  end
  return inner
end

local function unlink(thread)
  thread.previous.next, thread.next.previous = thread.next, thread.previous
end

local function append(self, thread)
  thread.previous, thread.next = self.previous, self
  self.previous.next, self.previous = thread, thread
end

--- Notes that something happened in a thread.
---@param thread sendapi.sandbox.ThreadRecord
---@param at number
function Conversations:touch(thread, at)
  thread.at = at
  if self.previous ~= thread and thread.next then
    unlink(thread)
    append(self, thread)
  end
end

---@param source string
---@param object string
---@param id string
---@return sendapi.sandbox.MessageRecord|nil
function Conversations:message(source, object, id)
  local objects = self.by_id[source]
  return objects and objects[object] and objects[object][id]
end

local OBJECTS = { "messages", "private_messages", "threads" }

--- A message of any kind.
---@return sendapi.sandbox.MessageRecord|nil
function Conversations:any_message(source, id)
  for _, object in ipairs(OBJECTS) do
    local found = self:message(source, object, id)
    if found then
      return found
    end
  end
end

local function forget_message(self, message)
  self.bytes = self.bytes - message.bytes
  self.by_number[message.n] = nil
  message.thread.messages[message.place] = nil
  if message.thread.customer == message then
    message.thread.customer = nil
  end
  if message.id and self:message(message.source, message.object, message.id) == message then
    self.by_id[message.source][message.object][message.id] = nil
  end
  intake.shorten(message)
end

local function forget_oldest_message(self, thread)
  forget_message(self, thread.messages[thread.first])
  thread.first = thread.first + 1
end

local function forget_thread(self, thread)
  while thread.first <= thread.last do
    forget_oldest_message(self, thread)
  end
  unlink(thread)
  thread.next, thread.previous = nil, nil
  self.by_key[thread.key] = nil
  self.by_identity[thread.source][thread.kind][thread.id] = nil
  self.count, self.bytes = self.count - 1, self.bytes - thread.bytes
  thread.id, thread.actions = encode.excerpt(thread.id, LONGEST_KEY), nil
end

--- Forgets everything; the numbers of messages go on.
function Conversations:clear()
  while self.next ~= self do
    forget_thread(self, self.next)
  end
  self.by_identity, self.by_id = {}, {}
end

local function make_room(self)
  while self.count > self.most_threads do
    forget_thread(self, self.next)
  end
  while self.bytes > self.most_bytes and self.next ~= self.previous do
    forget_thread(self, self.next)
  end
  local only = self.next
  while self.bytes > self.most_bytes and only.first < only.last do
    forget_oldest_message(self, only)
  end
end

--- A thread's name in the interface. Every thread has another one; ids that are long, or that a
-- server would not take in a path, do not stand in it.
local function key_of(self, source, kind, id)
  local key = ("%s:%s:%s"):format(source, kind, id)
  if #key > LONGEST_KEY or id:find "^#" or id:find "[%c/\\]" then
    self.keys = (self.keys or 0) + 1
    key = ("%s:%s:#%d"):format(source, kind, self.keys)
  end
  return key
end

---@return sendapi.sandbox.ThreadRecord|nil
function Conversations:find(source, kind, id)
  local kinds = self.by_identity[source]
  return kinds and kinds[kind] and kinds[kind][id]
end

--- Finds a thread, or begins one.
---@param source string
---@param kind "thread"|"private"|"author"
---@param id string
---@param at number
---@return sendapi.sandbox.ThreadRecord
function Conversations:open(source, kind, id, at)
  local thread = self:find(source, kind, id)
  if thread then
    return thread
  end
  thread = {
    key = key_of(self, source, kind, id),
    source = source,
    kind = kind,
    id = id,
    messages = {},
    first = 1,
    last = 0,
    unread = 0,
    at = at,
    users = {},
    user_ids = {},
    typing = {},
    bytes = THREAD_OVERHEAD + 2 * #id,
  }
  nested(self.by_identity, source, kind)[id] = thread
  self.by_key[thread.key] = thread
  self.count, self.bytes = self.count + 1, self.bytes + thread.bytes
  append(self, thread)
  make_room(self)
  return thread
end

--- Gives a thread the id that its connector has said; its key stays. Where another thread has this
-- id already, nothing changes.
---@param thread sendapi.sandbox.ThreadRecord
---@param id string
function Conversations:rename(thread, id)
  local same = nested(self.by_identity, thread.source, thread.kind)
  if not same[id] and same[thread.id] == thread then
    same[thread.id], same[id] = nil, thread
    thread.id = id
  end
end

--- Lets a message be found by its id.
---@param message sendapi.sandbox.MessageRecord
---@param id string
function Conversations:name(message, id)
  message.id = id
  nested(self.by_id, message.source, message.object)[id] = message
end

--- Adds a message to its thread, and gives it its number.
---@param message table with `thread`, `source`, `object`, `bytes` and perhaps `id`
---@param at number
function Conversations:add(message, at)
  local thread = message.thread
  self.number = self.number + 1
  thread.last = thread.last + 1
  message.n, message.place = self.number, thread.last
  thread.messages[thread.last] = message
  self.by_number[message.n] = message
  self.bytes = self.bytes + message.bytes
  if message.id then
    self:name(message, message.id)
  end
  self:touch(thread, at)
  if thread.last - thread.first >= self.most_messages then
    forget_oldest_message(self, thread)
  end
  make_room(self)
end

--- All threads, the one that was active last first.
---@return sendapi.sandbox.ThreadRecord[]
function Conversations:threads()
  local threads, thread = {}, self.previous
  while thread ~= self do
    threads[#threads + 1] = thread
    thread = thread.previous
  end
  return threads
end

--- The newest messages after a number that pass, oldest first.
---@param number integer
---@param passes fun(message: sendapi.sandbox.MessageRecord): boolean
---@param most integer
---@return sendapi.sandbox.MessageRecord[]
function Conversations:after(number, passes, most)
  while self.first_number <= self.number and not self.by_number[self.first_number] do
    self.first_number = self.first_number + 1
  end
  local found = {}
  for n = self.number, math.max(number + 1, self.first_number), -1 do
    local message = self.by_number[n]
    if message and passes(message) then
      found[#found + 1] = message
      if #found == most then
        break
      end
    end
  end
  for i = 1, math.floor(#found / 2) do
    found[i], found[#found + 1 - i] = found[#found + 1 - i], found[i]
  end
  return found
end

return conversations
