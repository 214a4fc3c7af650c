--- The shape of `implementation.info`, the only action that every connector has.
local known_actions = require "sendapi.actions"
local collections = require "sendapi.collections"
local connector_options = require "sendapi.connector.options"
local core = require "sendapi.core"
local reader = require "sendapi.check.reader"
local session_of = require "sendapi.check.session"

local fail, describe = session_of.fail, reader.describe

local OBJECTS = { "messages", "private_messages", "threads", "status", "typing", "users" }

-- What else can be asked of these is nothing: Engage Digital never asks, the client sends.
local sent_operations = { status = {}, typing = {}, users = {} }
for _, action in ipairs(known_actions) do
  local operations = sent_operations[action.resource]
  if operations then
    operations[#operations + 1] = action.operation
  end
end

local is_object = {}
for _, name in ipairs(OBJECTS) do
  is_object[name] = true
end

local function did_you_mean(word, words)
  local near = core.suggest(word, words)
  return near and (" Did you mean %s?"):format(near) or ""
end

local function expect_strings(path, value)
  if not reader.is_array(value) then
    fail("%s: expected an array of strings, [] when there is none, got %s.", path, describe(value))
  end
  local seen = {}
  for i, item in ipairs(value) do
    if type(item) ~= "string" then
      fail("%s[%d]: expected a string, got %s.", path, i, describe(item))
    elseif seen[item] then
      fail("%s: %s is there twice. Write it once.", path, item)
    end
    seen[item] = true
  end
end

local function expect_object(path, value)
  if not reader.is_object(value) then
    fail("%s: expected an object, {} when there is nothing in it, got %s.", path, describe(value))
  end
end

local function is_absent(value)
  return value == nil or value == reader.null
end

local function expect_operations(name, operations)
  for _, operation in ipairs(operations) do
    local known = sent_operations[name]
    if not operation:find "^[%w_]+$" then
      local sentence = "objects.%s: %q cannot be the name of an operation. Use letters, digits, _."
      fail(sentence, name, operation)
    elseif known and not collections.contains(known, operation) then
      local near = did_you_mean(operation, known)
      fail("objects.%s: there is no operation %s.%s", name, operation, near)
    end
  end
end

local M = {}

M[1] = {
  name = "implementation.info: objects holds arrays of operations",
  run = function(context)
    local objects = context.value.objects
    expect_object("objects", objects)
    for name, operations in pairs(objects) do
      expect_strings("objects." .. name, operations)
    end
  end,
}

M[2] = {
  name = "implementation.info: its objects and operations are known",
  run = function(context)
    for name, operations in pairs(context.info.objects) do
      if not is_object[name] then
        local near = did_you_mean(name, OBJECTS)
        fail("objects: there is no object %s; Engage Digital ignores it.%s", name, near)
      end
      expect_operations(name, operations)
    end
  end,
}

M[3] = {
  name = "implementation.info: options is an array of known options",
  run = function(context)
    local options = context.value.options
    if is_absent(options) then
      return
    end
    expect_strings("options", options)
    local definition = { messaging = { queuing_update = true } }
    for name in pairs(context.info.objects) do
      definition[name] = true
    end
    local message = connector_options.complaint_of_names(options)
      or connector_options.complaint(options, definition)
    if message then
      fail("%s.", message)
    end
  end,
}

M[4] = {
  name = "implementation.info: locales holds texts by language",
  run = function(context)
    local locales = context.value.locales
    if is_absent(locales) then
      return
    end
    expect_object("locales", locales)
    for language, texts in pairs(locales) do
      expect_object("locales." .. language, texts)
      for operation, text in pairs(texts) do
        if type(text) ~= "string" then
          local sentence = "locales.%s.%s: expected a text, got %s."
          fail(sentence, language, operation, describe(text))
        end
      end
    end
  end,
}

---@class sendapi.check.Info
---@field objects table<string, string[]>
---@field options string[]

--- What of it can be read, with nothing missing.
---@param value any see reader.lua
---@return sendapi.check.Info
function M.normalized(value)
  local info = { objects = {}, options = {} }
  local function strings(list)
    local kept = {}
    for _, item in ipairs(reader.is_array(list) and list or {}) do
      kept[#kept + 1] = type(item) == "string" and item or nil
    end
    return kept
  end
  info.options = strings(value.options)
  for name, operations in pairs(reader.is_object(value.objects) and value.objects or {}) do
    info.objects[name] = strings(operations)
  end
  return info
end

return M
