--- Which dead letters are meant, when they are retried or discarded.
local options = require "sendapi.options"

local M = {}

---@class sendapi.LetterFilter all that is given must match; an empty one matches every letter
---@field code string?        the failure's, as in sendapi.Letter
---@field action string?      "messages.create"
---@field lane string|number|nil the conversation's key as in sendapi.Letter, or without its kind
---@field after number?       given up then or later, in seconds since 1970
---@field before number?      given up earlier

local types = {
  code = { string = true },
  action = { string = true },
  lane = { string = true, number = true },
  after = { number = true },
  before = { number = true },
}
local names = { "code", "action", "lane", "after", "before" }

local function complaint(filter)
  for name, value in pairs(filter) do
    local known = types[name]
    if not known then
      local near = options.suggestion(name, names)
      return ("there is no '%s' in a filter%s"):format(options.printable(name), near)
    elseif not known[type(value)] or value ~= value then
      local wanted = known.string and "a string" or "a time"
      return ("%s: expected %s, got a %s"):format(name, wanted, type(value))
    elseif known.string and not known.number and value:find("\0", 1, true) then
      return name .. ": there is a NUL in it"
    end
  end
end

--- A filter as the core takes it; or nil, and what is wrong with it.
---@param filter sendapi.LetterFilter
---@return table|nil
---@return string|nil message
function M.read(filter)
  local message = complaint(filter)
  if message then
    return nil, message
  end
  local copy = {}
  for name, value in pairs(filter) do
    copy[name] = name == "lane" and "" .. value or value
  end
  return copy
end

return M
