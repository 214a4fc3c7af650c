--- A source's options, as data, and what contradicts what.
local options = require "sendapi.options"

---@class sendapi.connector.Option
---@field name string
---@field object string?    what the definition must have
---@field needs string?     another option that must be there
---@field excludes string?  another option that must not be there
---@field operation string? of the object `messaging`: the option is there when it is, and only then

---@type sendapi.connector.Option[]
local list = {
  { name = "messages.allow_survey", object = "messages" },
  { name = "messages.attachments", object = "messages" },
  { name = "messages.html", object = "messages", excludes = "view.messaging" },
  { name = "messages.no_title", object = "messages" },
  { name = "messages.text", object = "messages", excludes = "messages.html" },
  { name = "messages.unthreaded", object = "messages" },
  { name = "messaging.queuing_update", operation = "queuing_update" },
  { name = "messaging.typing_indicator", needs = "view.messaging" },
  { name = "private_messages.attachments", object = "private_messages" },
  { name = "private_messages.html", object = "private_messages", excludes = "view.messaging" },
  { name = "private_messages.no_title", object = "private_messages" },
  {
    name = "private_messages.text",
    object = "private_messages",
    excludes = "private_messages.html",
  },
  { name = "threads.attachments", object = "threads" },
  { name = "threads.html", object = "threads", excludes = "view.messaging" },
  { name = "threads.no_content", object = "threads" },
  { name = "threads.text", object = "threads", excludes = "threads.html" },
  { name = "view.messaging" },
}

local by_name, names = {}, {}
for _, option in ipairs(list) do
  by_name[option.name] = option
  names[#names + 1] = option.name
end

local M = { list = list }

local function complaint_of_name(name)
  if type(name) ~= "string" then
    return ("options: expected a list of strings, got a %s in it"):format(type(name))
  elseif not by_name[name] then
    return ("options: there is no '%s'%s"):format(
      options.printable(name),
      options.suggestion(name, names)
    )
  end
end

--- What is wrong with a list of options by itself, or nil.
---@param given any
---@return string|nil message
function M.complaint_of_names(given)
  if type(given) ~= "table" then
    return ("options: expected a list of strings, got a %s"):format(type(given))
  end
  local seen, count = {}, 0
  for _, name in pairs(given) do
    local message = complaint_of_name(name)
    if message then
      return message
    elseif seen[name] then
      return ("options: '%s' is there twice"):format(name)
    end
    seen[name], count = true, count + 1
  end
  return count ~= #given and "options: expected a list of strings" or nil
end

local function complaint_of_option(option, chosen, definition)
  if option.object and not definition[option.object] then
    return ("options: '%s' is there, but '%s' is not defined"):format(option.name, option.object)
  elseif option.needs and not chosen[option.needs] then
    return ("options: '%s' needs '%s'"):format(option.name, option.needs)
  elseif option.excludes and chosen[option.excludes] then
    return ("options: '%s' and '%s' exclude each other"):format(option.name, option.excludes)
  end
  local messaging = definition.messaging
  if option.operation and not (messaging and messaging[option.operation]) then
    return ("options: '%s' is there, but messaging.%s is not defined"):format(
      option.name,
      option.operation
    )
  end
end

--- What in a definition contradicts its options, each of which is known; or nil.
---@param given string[]
---@param definition table
---@return string|nil message
function M.complaint(given, definition)
  local chosen = {}
  for _, name in ipairs(given) do
    chosen[name] = true
  end
  for _, option in ipairs(list) do
    local message = chosen[option.name] and complaint_of_option(option, chosen, definition)
    if message then
      return message
    end
  end
  if chosen["view.messaging"] and definition.messages and definition.private_messages then
    return "options: 'view.messaging' is for one of messages and private_messages, not for both"
  end
end

--- The options as `implementation.info` declares them: those given, in their order, and those that
-- follow from what is defined.
---@param given string[]
---@param definition table
---@return string[] a new list
function M.declared(given, definition)
  local declared, chosen = {}, {}
  for i, name in ipairs(given) do
    declared[i], chosen[name] = name, true
  end
  local messaging = definition.messaging or {}
  for _, option in ipairs(list) do
    if option.operation and messaging[option.operation] and not chosen[option.name] then
      declared[#declared + 1] = option.name
    end
  end
  return declared
end

return M
