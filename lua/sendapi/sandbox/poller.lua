--- Plays Engage Digital towards a connector: asks what it implements,
-- fetches what is new, hands over what agents write and press.
--
-- Pure: the way to the connector, the clock and the key are given. So it works over any transport,
-- within nginx too, or on a connector of the same program:
--
--     local poller = require("sendapi.sandbox.poller").new {
--       token = token, sign = sendapi.sign, now = os.time,
--       exchange = function(body, signature)
--         return connector:handle(body, signature)
--       end,
--     }
--
-- What goes wrong is `nil, problem`, never raised.
local json = require "sendapi.json"
local wire = require "sendapi.sandbox.wire"

local ask, ask_again, date, problem = wire.ask, wire.ask_again, wire.date, wire.problem
local text_of, without_nulls = wire.text_of, wire.without_nulls

local MOST_PAGES = 1000 -- of one list in one synchronisation

local LISTED = { "threads", "messages", "private_messages" }
local REPEATED = { delete = true, publish = true, unpublish = true }

---@class sendapi.sandbox.PollerSettings
---@field token string
---@field exchange fun(body: string, signature: string): integer|nil, string, table|nil
---  status, body, headers; or nil, message
---@field now fun(): number seconds since 1970
---@field sign fun(token: string, body: string): string lower-case hex HMAC-SHA512
---@field arrived (fun(kind: string, object: table))|nil is told of what no list had before

---@class sendapi.sandbox.Info what `implementation.info` said, with nothing missing
---@field objects table<string, table<string, true>> operations as keys
---@field options table<string, true>
---@field locales table<string, table<string, string>>

---@class sendapi.sandbox.Contents
---@field by_id table<string, table> the newest that was said of each
---@field ids string[] in the order in which they came, oldest first
---@field newest string|nil the id that the next list begins after

---@class sendapi.sandbox.Poller
---@field info sendapi.sandbox.Info|nil after the first synchronisation
---@field objects table<string, sendapi.sandbox.Contents>
---@field wire sendapi.sandbox.Exchange[] the last ones, oldest first
local Poller = {}
Poller.__index = Poller

local M = {}

---@param settings sendapi.sandbox.PollerSettings
---@return sendapi.sandbox.Poller
function M.new(settings)
  local self = setmetatable({ settings = settings, wire = {} }, Poller)
  self.objects = {}
  for _, kind in ipairs(LISTED) do
    self.objects[kind] = { by_id = {}, ids = {}, listed = {} }
  end
  return self
end

local function shape(action, message)
  return problem(action, "shape", message)
end

local function is_object_with_id(value)
  return json.type(value) == "object" and text_of(value.id) ~= nil
end

local function check_object(action, value)
  return not is_object_with_id(value) and shape(action, "expected an object with an id") or nil
end

-- implementation.info ---------------------------------------------------------

--- A list of strings as keys; nil when it is none.
local function set_of(list)
  local set, count = {}, 0
  for _, name in pairs(type(list) == "table" and list or { 0 }) do
    count = count + 1
    if type(name) ~= "string" or list[count] == nil then
      return nil
    end
    set[name] = true
  end
  return set
end

local function objects_of(given)
  local objects = {}
  for name, operations in pairs(given) do
    objects[name] = type(name) == "string" and set_of(operations)
    if not objects[name] then
      return nil
    end
  end
  return objects
end

local function read_info(value)
  local action = "implementation.info"
  if json.type(value) ~= "object" or type(value.objects) ~= "table" then
    return nil, shape(action, "expected an object with the key objects")
  end
  without_nulls(value)
  local objects, options = objects_of(value.objects), set_of(value.options or {})
  if not objects then
    return nil, shape(action, "objects: expected lists of operations")
  elseif not options then
    return nil, shape(action, "options: expected a list of strings")
  end
  local locales = type(value.locales) == "table" and value.locales or {}
  return { objects = objects, options = options, locales = locales }
end

local function fetch_info(self)
  local value, found = ask(self, "implementation.info")
  local info
  if not found then
    info, found = read_info(value)
  end
  if not info then
    return nil, found
  end
  self.info = info
  return info
end

--- Whether Engage Digital would ask for this; before the first synchronisation everything is.
local function refusal(self, action, object, operation)
  local info = self.info
  if info and not (info.objects[object] or {})[operation] then
    return problem(action, "not_implemented", "implementation.info does not declare it")
  end
end

-- Lists -----------------------------------------------------------------------

local function keep(contents, object)
  local id = text_of(object.id)
  if not contents.by_id[id] then
    contents.ids[#contents.ids + 1] = id
  end
  contents.by_id[id] = object
  return id
end

local function check_page(action, page)
  if type(page) ~= "table" or (next(page) ~= nil and json.type(page) ~= "array") then
    return shape(action, "expected an array")
  end
  for i = 1, #page do
    if not is_object_with_id(page[i]) then
      return shape(action, ("[%d]: expected an object with an id"):format(i))
    end
  end
end

--- Takes a page, which is newest first, oldest first.
---@return integer count of those that no list had before
local function take_page(contents, page, arrive)
  local count = 0
  for i = #page, 1, -1 do
    local id = keep(contents, without_nulls(page[i]))
    if not contents.listed[id] then
      contents.listed[id] = true
      count = count + 1
      arrive(contents.by_id[id])
    end
  end
  if page[1] then
    contents.newest = text_of(page[1].id)
  end
  return count
end

--- All pages, each after the newest of the one before, until one brings nothing new.
---@return table[]|nil arrived oldest first
---@return sendapi.sandbox.Problem|nil
local function list(self, kind)
  local action, contents, arrived = kind .. ".list", self.objects[kind], {}
  local function arrive(object)
    arrived[#arrived + 1] = object
    if self.settings.arrived then
      self.settings.arrived(kind, object)
    end
  end
  for _ = 1, MOST_PAGES do
    local params = contents.newest and { since_id = contents.newest }
    local page, found = ask(self, action, params)
    found = found or check_page(action, page)
    if found then
      return nil, found
    elseif take_page(contents, page, arrive) == 0 then
      return arrived
    end
  end
  local message = ("%d pages, and every one brought something new"):format(MOST_PAGES)
  return nil, problem(action, "endless", message)
end

--- What Engage Digital does when a source is saved: `implementation.info` alone.
---@return sendapi.sandbox.Info|nil
---@return sendapi.sandbox.Problem|nil
function Poller:inquire()
  return fetch_info(self)
end

--- Forgets the oldest objects of each kind, of the others all but their ids, and all exchanges. The
-- oldest arrive again when they are listed again after that.
---@param most integer of each kind whose ids are kept
function Poller:forget(most)
  self.wire = {}
  for _, kind in ipairs(LISTED) do
    local contents, kept = self.objects[kind], {}
    for place, id in ipairs(contents.ids) do
      if place + most > #contents.ids then
        kept[#kept + 1] = id
        contents.by_id[id] = { id = id }
      else
        contents.by_id[id], contents.listed[id] = nil, nil
      end
    end
    contents.ids = kept
  end
end

--- What Engage Digital does every minute: `implementation.info`, then every list there is.
---@return table<string, table[]>|nil arrived by kind, oldest first: what no list had before
---@return sendapi.sandbox.Problem|nil problem the first; what arrived until then is kept
function Poller:synchronise()
  local info, found = fetch_info(self)
  local result = {}
  for _, kind in ipairs(LISTED) do
    if not found and (info.objects[kind] or {}).list then
      result[kind], found = list(self, kind)
    end
  end
  if found then
    return nil, found
  end
  return result
end

-- What agents do ---------------------------------------------------------------

local contents_made = 0 -- by all pollers: a connector takes what has a known id for a repetition
local state_id = tostring({}):match "%x+$" -- tells programs apart that begin in the same second

local function new_content_id(now)
  contents_made = contents_made + 1
  return ("%x-%s-%d"):format(math.floor(now), state_id, contents_made)
end

--- The part of a create that Engage Digital adds; what is given goes before it.
local function filled_up(self, params)
  local now = self.settings.now()
  local filled = {
    author_id = "agent",
    content_id = new_content_id(now),
    created_at = date(now),
    updated_at = date(now),
    format = "text",
    sender_name = "Agent",
  }
  for name, value in pairs(params) do
    filled[name] = value
  end
  filled.retry = false
  return filled
end

--- Hands over what an agent wrote, at most three times.
---@param object string `messages`, `private_messages` or `threads`
---@param params table what is not given is filled in: content_id, author_id, created_at …
---@return table|nil created with its `id`
---@return sendapi.sandbox.Problem|nil problem of the last try
function Poller:create(object, params)
  local action = object .. ".create"
  local found = refusal(self, action, object, "create")
  if found then
    return nil, found
  end
  local filled = filled_up(self, params)
  local created
  created, found = ask_again(self, action, filled, check_object)
  if not created then
    return nil, found
  end
  keep(self.objects[object], created)
  return created
end

local function same_object(id)
  return function(action, value)
    if is_object_with_id(value) and text_of(value.id) ~= text_of(id) then
      return shape(action, "expected the object with the id that was asked for")
    end
    return check_object(action, value)
  end
end

--- Presses a button: `messages.delete`, `messages.publish` and `messages.unpublish` at most three
-- times, a custom action once.
---@param action string
---@param params table with the object's `id`; `user_id` is filled in
---@return table|nil object as it is now
---@return sendapi.sandbox.Problem|nil
function Poller:perform(action, params)
  local object, operation = action:match "^([^.]+)%.(.+)$"
  local found = refusal(self, action, object, operation)
  if found then
    return nil, found
  end
  local sent = { id = params.id, user_id = params.user_id or "agent" }
  local check = same_object(params.id)
  local value
  if REPEATED[operation] then
    value, found = ask_again(self, action, sent, check)
  else
    value, found = ask(self, action, sent)
    found = found or check(action, value)
  end
  if found then
    return nil, found
  end
  keep(self.objects[object], without_nulls(value))
  return value
end

--- Asks for one object.
---@param object string
---@param id string
---@return table|nil object
---@return sendapi.sandbox.Problem|nil problem `unknown` when the connector has no such object
function Poller:show(object, id)
  local action = object .. ".show"
  local found = refusal(self, action, object, "show")
  local value
  if not found then
    value, found = ask(self, action, { id = id })
  end
  if not found and type(value) == "table" and next(value) == nil then
    found = problem(action, "unknown", "the connector has no such object")
  end
  found = found or same_object(id)(action, value)
  if found then
    return nil, found
  end
  keep(self.objects[object], without_nulls(value))
  return value
end

--- Tells how long a customer still waits. Any 2xx is fine.
---@param params { estimated_wait_time: number, position: integer, thread_id: string?,
---  in_reply_to_id: string? }
---@return true|nil
---@return sendapi.sandbox.Problem|nil
function Poller:queuing_update(params)
  local action = "messaging.queuing_update"
  local found
  if self.info and not self.info.options[action] then
    found = problem(action, "not_implemented", "it is not among the options")
  else
    found = select(2, ask(self, action, params, true))
  end
  if found then
    return nil, found
  end
  return true
end

return M
