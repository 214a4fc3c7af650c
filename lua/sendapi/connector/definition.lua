--- What a connector implements: checks a definition, and derives `implementation.info` from it.
local actions = require "sendapi.actions"
local collections = require "sendapi.collections"
local connector_options = require "sendapi.connector.options"
local core = require "sendapi.core"
local options = require "sendapi.options"
local stores = require "sendapi.connector.store"

-- The objects that Engage Digital asks for, and those that only the client sends.
local POLLED = { "messages", "private_messages", "threads" }
local SENT = { "status", "typing", "users" }

-- Operations in the order in which they are declared; custom actions follow.
local KNOWN = { "create", "show", "list", "delete", "publish", "unpublish", "reply" }
local COLLECTION = { create = true, show = true, list = true }

local is_known, is_polled, is_sent = {}, {}, {}
for _, name in ipairs(KNOWN) do
  is_known[name] = true
end
for _, name in ipairs(POLLED) do
  is_polled[name] = true
end
local sent_operations = {}
for _, name in ipairs(SENT) do
  is_sent[name] = true
  sent_operations[name] = {}
end
for _, action in ipairs(actions) do
  local operations = sent_operations[action.resource]
  if operations then
    operations[#operations + 1] = action.operation
  end
end

local strings = { kind = "array", of = { kind = "string" } }

local function info_type()
  local objects = {}
  for _, names in ipairs { POLLED, SENT } do
    for _, name in ipairs(names) do
      objects[#objects + 1] = { name, strings }
    end
  end
  local texts = { kind = "map", of = { kind = "string" } }
  return {
    kind = "object",
    fields = {
      { "objects", { kind = "object", fields = objects } },
      { "options", strings },
      { "locales", { kind = "map", of = texts } },
    },
  }
end

local M = {
  --- What the answer to `implementation.info` is.
  info_type = info_type(),
}

local function expected(name, what, value)
  return ("%s: expected %s, got a %s"):format(name, what, type(value))
end

--- What is wrong with one operation of messages, private_messages or threads.
local function complaint_of_operation(object, name, value)
  if type(name) ~= "string" or not name:find "^[%w_]+$" then
    return ("%s: '%s' cannot be the name of an operation: expected letters, digits and '_'"):format(
      object,
      options.printable(name)
    )
  end
  local path = object .. "." .. name
  if name == "reply" then
    return type(value) ~= "boolean" and expected(path, "true, it is only declared", value) or nil
  end
  return type(value) ~= "function" and expected(path, "a function", value) or nil
end

local function complaint_of_polled(object, operations)
  if type(operations) ~= "table" then
    return expected(object, "a table of functions", operations)
  end
  for name, value in pairs(operations) do
    local message = complaint_of_operation(object, name, value)
    if message then
      return message
    end
  end
end

local function complaint_of_messaging(messaging)
  if type(messaging) ~= "table" then
    return expected("messaging", "a table of functions", messaging)
  end
  for name, value in pairs(messaging) do
    if name ~= "queuing_update" then
      local near = options.suggestion(name, { "queuing_update" })
      return ("messaging: there is no '%s'%s"):format(options.printable(name), near)
    elseif type(value) ~= "function" then
      return expected("messaging.queuing_update", "a function", value)
    end
  end
end

local function complaint_of_sent(object, given)
  if type(given) == "boolean" then
    return nil
  elseif type(given) ~= "table" then
    return expected(object, "true or a list of operations", given)
  end
  local known, seen, count = sent_operations[object], {}, 0
  for _, name in pairs(given) do
    if not collections.contains(known, name) then
      local near = options.suggestion(name, known)
      return ("%s: there is no operation '%s'%s"):format(object, options.printable(name), near)
    elseif seen[name] then
      return ("%s: '%s' is there twice"):format(object, name)
    end
    seen[name], count = true, count + 1
  end
  return count ~= #given and expected(object, "true or a list of operations", given) or nil
end

--- Whether an operation of this name is implemented or declared for some object.
local function is_implemented(definition, operation)
  for _, object in ipairs(POLLED) do
    if definition[object] and definition[object][operation] then
      return true
    end
  end
  return false
end

local function is_text(value)
  return type(value) == "string" and value ~= ""
end

local function complaint_of_texts(definition, language, texts)
  local path = ("locales.%s"):format(options.printable(language))
  if not is_text(language) then
    return expected("locales", "languages as keys", language)
  elseif type(texts) ~= "table" then
    return expected(path, "a table of texts", texts)
  end
  for operation, text in pairs(texts) do
    if type(operation) ~= "string" or not is_implemented(definition, operation) then
      local shown = options.printable(operation)
      return ("%s: '%s' is not implemented by any object"):format(path, shown)
    elseif not is_text(text) then
      return ("%s.%s: expected a text that is not empty"):format(path, operation)
    end
  end
end

local function complaint_of_locales(locales, definition)
  if type(locales) ~= "table" then
    return expected("locales", "a table of languages", locales)
  end
  for language, texts in pairs(locales) do
    local message = complaint_of_texts(definition, language, texts)
    if message then
      return message
    end
  end
end

local function complaint_of_store(store)
  if store ~= false and not (stores.has(store, "get") and stores.has(store, "set")) then
    return "store: expected something with the methods get and set, or false"
  end
end

local function of_type(name, kind)
  return function(value)
    return type(value) ~= kind and expected(name, "a " .. kind, value) or nil
  end
end

-- What else a definition may have, each with what says what is wrong with it.
local complaints = {
  messaging = complaint_of_messaging,
  options = connector_options.complaint_of_names,
  locales = complaint_of_locales,
  store = complaint_of_store,
  log = of_type("log", "function"),
  extra_fields = of_type("extra_fields", "boolean"),
}

local names = {}
for _, list in ipairs { POLLED, SENT } do
  for _, name in ipairs(list) do
    names[#names + 1] = name
  end
end
for name in pairs(complaints) do
  names[#names + 1] = name
end
table.sort(names)

--- Objects first: what the rest is held against.
local function complaint_of_objects(definition)
  for name, value in pairs(definition) do
    local message
    if is_polled[name] then
      message = complaint_of_polled(name, value)
    elseif is_sent[name] then
      message = complaint_of_sent(name, value)
    elseif not complaints[name] then
      local near = options.suggestion(name, names)
      message = ("there is no '%s'%s"):format(options.printable(name), near)
    end
    if message then
      return message
    end
  end
end

--- What is wrong with a definition, or nil.
---@param definition any
---@return string|nil message
function M.complaint(definition)
  if type(definition) ~= "table" then
    return expected("definition", "a table", definition)
  end
  local message = complaint_of_objects(definition)
  for _, name in ipairs(names) do
    if not message and definition[name] ~= nil and complaints[name] then
      message = complaints[name](definition[name], definition)
    end
  end
  return message or connector_options.complaint(definition.options or {}, definition)
end

--- The operations that an object has, in the order in which they are declared.
local function operations_of(object)
  local operations, custom = {}, {}
  for _, name in ipairs(KNOWN) do
    operations[#operations + 1] = object[name] and name or nil
  end
  for name in pairs(object) do
    custom[#custom + 1] = not is_known[name] and name or nil
  end
  table.sort(custom)
  for _, name in ipairs(custom) do
    operations[#operations + 1] = name
  end
  return operations
end

--- What `implementation.info` answers, of a definition that is right.
---@param definition sendapi.Definition
---@return table info see `info_type`
function M.info(definition)
  local objects = {}
  for _, name in ipairs(POLLED) do
    objects[name] = definition[name] and operations_of(definition[name])
  end
  for _, name in ipairs(SENT) do
    local given = definition[name]
    objects[name] = given == true and sent_operations[name] or given or nil
  end
  return {
    objects = objects,
    options = connector_options.declared(definition.options or {}, definition),
    locales = definition.locales or {},
  }
end

---@class sendapi.connector.Operation
---@field name string      "messages.create"
---@field object string
---@field operation string
---@field handler sendapi.Handler
---@field kind "list"|"show"|"create"|"change"|"queuing_update" a change answers the whole object
---@field actions string[] what its objects can do: the operations at instance level

local KINDS = { list = "list", show = "show", create = "create" }

local function instance_level(operations)
  local actions_of_object = {}
  for _, name in ipairs(operations) do
    actions_of_object[#actions_of_object + 1] = not COLLECTION[name] and name or nil
  end
  return actions_of_object
end

local function new_operation(object, operation, handler, kind, actions_of_object)
  return {
    name = object .. "." .. operation,
    object = object,
    operation = operation,
    handler = handler,
    kind = kind,
    actions = actions_of_object,
  }
end

local function add_operations(list, object, handlers)
  local operations = operations_of(handlers)
  local actions_of_object = instance_level(operations)
  for _, name in ipairs(operations) do
    local handler, kind = handlers[name], KINDS[name] or "change"
    if handler ~= true then
      list[#list + 1] = new_operation(object, name, handler, kind, actions_of_object)
    end
  end
end

--- The operations that have a function, of a definition that is right.
---@param definition sendapi.Definition
---@return sendapi.connector.Operation[]
function M.operations(definition)
  local list = {}
  for _, object in ipairs(POLLED) do
    if definition[object] then
      add_operations(list, object, definition[object])
    end
  end
  local update = definition.messaging and definition.messaging.queuing_update
  if update then
    list[#list + 1] = new_operation("messaging", "queuing_update", update, "queuing_update", {})
  end
  return list
end

--- The bytes that answer `implementation.info`; or nil and what cannot be written of it.
---@param definition sendapi.Definition that is right
---@return string|nil bytes
---@return string|nil message
function M.info_bytes(definition)
  local bytes, problem = core.compile(M.info_type, { name = "definition" }):encode(
    M.info(definition)
  )
  return bytes, problem and problem.message
end

return M
