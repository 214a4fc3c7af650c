--- Reads JSON so that arrays and objects are told apart even when they are empty.
local json = require "sendapi.json"

local M = { null = json.null }

local ARRAY = { __name = "array" }

-- Stands first in every array while lua-cjson reads it.
local MARK = "["

local function marked(rest)
  return rest:find("]", 1, true) and '["' .. MARK .. '"]' or '["' .. MARK .. '",'
end

--- Where the string that begins at `quote` ends.
local function string_end(text, quote)
  local at = quote + 1
  while true do
    local found = text:find('["\\]', at)
    if text:sub(found, found) == '"' then
      return found
    end
    at = found + 2
  end
end

--- JSON with the mark in every array; strings are left alone.
local function mark(text)
  local parts, at = {}, 1
  while at <= #text do
    local quote = text:find('"', at, true)
    local outside = text:sub(at, (quote or 0) - 1):gsub("%[(%s*%]?)", marked)
    parts[#parts + 1] = outside
    if not quote then
      break
    end
    local last = string_end(text, quote)
    parts[#parts + 1] = text:sub(quote, last)
    at = last + 1
  end
  return table.concat(parts)
end

local function unmark(value)
  if type(value) ~= "table" then
    return value
  end
  if value[1] == MARK then
    table.remove(value, 1)
    setmetatable(value, ARRAY)
  end
  for _, item in pairs(value) do
    unmark(item)
  end
  return value
end

--- Reads one value, as strictly as json.lua can. Raises nothing.
---@param text string
---@return boolean is_json
---@return any value or a few words that say why it is none
function M.read(text)
  local is_json, why = json.decode_unambiguous(text)
  if not is_json then
    return false, why
  end
  local _, value = json.decode(mark(text))
  return true, unmark(value)
end

function M.is_array(value)
  return getmetatable(value) == ARRAY
end

function M.is_object(value)
  return type(value) == "table" and getmetatable(value) ~= ARRAY
end

--- What a value is, in JSON's words, with its article.
---@return string
function M.describe(value)
  if value == nil then
    return "nothing"
  elseif value == M.null then
    return "null"
  elseif M.is_array(value) then
    return #value == 0 and "an empty array []" or "an array"
  elseif type(value) == "table" then
    return next(value) == nil and "an empty object {}" or "an object"
  end
  return "a " .. type(value)
end

return M
