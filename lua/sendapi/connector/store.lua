--- What makes a repeated create harmless: its first answer, kept for a while.
--
-- A store has `get(self, key)` and `set(self, key, value, seconds)`, and may have `add` (as `set`,
-- but true only when the key was not there) and `delete(self, key)`: so does nginx's
-- `ngx.shared.DICT`. Keys and values are strings. A method that fails returns nil or false and a
-- message, or raises; then the create goes on without the store, and the log says so.
local answer = require "sendapi.connector.answer"
local core = require "sendapi.core"
local json = require "sendapi.json"
local log = require "sendapi.log"
local options = require "sendapi.options"

local M = {}

local RUNNING, FAILED = "running", "failed" -- what is kept besides answers, which are JSON objects
local RUNNING_SECONDS = 30 -- after that a create that never ended counts as not begun
local KEPT_SECONDS = 86400
local LONGEST_ID = 256 -- bytes; a content_id of ours is a few

--- The content's id as text; nil for what cannot tell one content from all others.
local function text_of(id)
  if type(id) == "number" then
    return id % 1 == 0 and id < 2 ^ 53 and id > -2 ^ 53 and ("%d"):format(id) or nil
  end
  return type(id) == "string" and id ~= "" and #id <= LONGEST_ID and id or nil
end

local SCOPE = 16 -- hexadecimal digits

--- One store may serve connectors of several domains, whose contents' ids may be the same: what
-- keeps them apart is drawn from the token, which cannot be found out from it.
local function scope_of(context, signer)
  local scope = context.scopes[signer]
  if not scope then
    scope = signer:sign("store"):sub(1, SCOPE)
    context.scopes[signer] = scope
  end
  return scope
end

local function key_of(context, operation, content_id, signer)
  return ("sendapi %s %s %s"):format(scope_of(context, signer), operation.name, content_id)
end

--- The key under which the create is kept, and during a rotation the one under which it is when the
-- other token signed its first request. Nil when nothing tells the content from all others.
local function keys_of(context, operation, request, signer)
  local content_id = text_of(request.params.content_id)
  if not content_id then
    return nil
  end
  local one, two = context.signers[1], context.signers[2]
  local other = one ~= signer and one or two
  return key_of(context, operation, content_id, signer),
    other and key_of(context, operation, content_id, other)
end

--- Calls a method of the store; nothing comes back from one that fails, and the log says why.
local function call(context, method, ...)
  local store = context.store
  local fine, value, message = pcall(store[method], store, ...)
  if fine and (value or message == nil or message == "exists") then
    return value
  end
  local reason = options.printable(log.text(fine and message or value))
  context.log("warn", ("connector: the store cannot %s: %s"):format(method, reason))
  return nil
end

--- Whether a store has a method, of which it may have any or none.
---@param store any
---@param method string
---@return boolean
function M.has(store, method)
  local fine, value = pcall(function()
    return store[method]
  end)
  return fine and type(value) == "function"
end

--- Whether it is what a create answered; a store may hold anything under our key.
local function is_answer(kept)
  local is_json, object = json.decode(kept)
  return is_json and type(object) == "table" and type(object.id) == "string" and object.id ~= ""
end

--- What is kept under a key, if it can be believed.
local function kept_under(context, key)
  local kept = call(context, "get", key)
  return type(kept) == "string" and (kept == RUNNING or is_answer(kept)) and kept or nil
end

--- Marks the create as running; or gives what is kept of one that came before.
local function begin(context, key, other_key)
  local kept = other_key and kept_under(context, other_key)
  if kept then
    return kept
  elseif M.has(context.store, "add") and call(context, "add", key, RUNNING, RUNNING_SECONDS) then
    return nil
  end
  kept = kept_under(context, key)
  if not kept then
    call(context, "set", key, RUNNING, RUNNING_SECONDS)
  end
  return kept
end

local function finish(context, key, bytes)
  if bytes then
    call(context, "set", key, bytes, KEPT_SECONDS)
  elseif M.has(context.store, "delete") then
    call(context, "delete", key)
  else
    call(context, "set", key, FAILED, RUNNING_SECONDS)
  end
end

--- Answers a create: by its handler, or by what it answered before.
---@param context { store: sendapi.AnswerStore|false, signers: userdata[],
--- scopes: table<userdata, string>, log: fun(level: string, message: string) }
---@param operation sendapi.connector.Operation
---@param request sendapi.ConnectorRequest
---@param signer userdata
---@return string bytes
---@return string signature
function M.answer(context, operation, request, signer)
  local key, other_key
  if context.store then
    key, other_key = keys_of(context, operation, request, signer)
  end
  if not key then
    return answer.make(operation, request, signer, context.log)
  end
  local kept = begin(context, key, other_key)
  if kept == RUNNING then
    return answer.failure(signer, "The first request to create this is still being handled.")
  elseif kept then
    return kept, signer:sign(kept)
  end
  local bytes, signature, succeeded = answer.make(operation, request, signer, context.log)
  finish(context, key, succeeded and bytes)
  return bytes, signature
end

--- A store in memory, for one Lua state: the entries in the order of their age, in a ring whose
-- `next` is the oldest and whose `previous` is the newest.
local Memory = {}
Memory.__index = Memory

local MOST_ENTRIES = 10000
local MOST_BYTES = 16777216 -- of keys and values

---@param limits { entries: integer?, bytes: integer?, now: fun(): number }|nil
---@return sendapi.AnswerStore
function M.memory(limits)
  limits = limits or {}
  local self = {
    entries = {},
    count = 0,
    bytes = 0,
    most_entries = limits.entries or MOST_ENTRIES,
    most_bytes = limits.bytes or MOST_BYTES,
    now = limits.now or core.now,
  }
  self.next, self.previous = self, self
  return setmetatable(self, Memory)
end

local function remove(self, entry)
  entry.previous.next, entry.next.previous = entry.next, entry.previous
  self.entries[entry.key] = nil
  self.count = self.count - 1
  self.bytes = self.bytes - #entry.key - #entry.value
end

local function append(self, entry)
  entry.previous, entry.next = self.previous, self
  self.previous.next, self.previous = entry, entry
  self.entries[entry.key] = entry
  self.count = self.count + 1
  self.bytes = self.bytes + #entry.key + #entry.value
end

local function find(self, key)
  local entry = self.entries[key]
  if entry and entry.ends <= self.now() then
    remove(self, entry)
    return nil
  end
  return entry
end

function Memory:get(key)
  local entry = find(self, key)
  return entry and entry.value
end

--- Makes room by forgetting the oldest.
function Memory:set(key, value, seconds)
  self:delete(key)
  append(self, { key = key, value = value, ends = self.now() + seconds })
  while self.count > self.most_entries or self.bytes > self.most_bytes do
    remove(self, self.next)
  end
  return true
end

function Memory:add(key, value, seconds)
  if find(self, key) then
    return false
  end
  return self:set(key, value, seconds)
end

function Memory:delete(key)
  local entry = self.entries[key]
  if entry then
    remove(self, entry)
  end
end

return M
