--- JSON as the sandbox's own interface says it: lists that may be empty, and always UTF-8.
--
-- Pure.
local cjson = require "cjson"

local encode = {}

-- Stands for an empty list, which not every lua-cjson can write. Nobody outside can know it.
local EMPTY = "\1" .. tostring {} .. tostring(os.time())
local written_empty = cjson.encode(EMPTY):gsub("%p", "%%%0")

local REPLACEMENT = "\239\191\189" -- U+FFFD

--- A sequence that stays one when it is empty.
---@generic T
---@param items T[]|nil
---@return T[]|string
function encode.list(items)
  return items and items[1] ~= nil and items or EMPTY
end

--- The length of the well-formed UTF-8 sequence at a position, or nil.
local function sequence_at(text, position)
  local first, second = text:byte(position, position + 1)
  local length = first < 0x80 and 1 or first >= 0xF0 and 4 or first >= 0xE0 and 3 or 2
  if length == 1 then
    return 1
  elseif first < 0xC2 or first > 0xF4 or not second then
    return nil
  end
  local lowest = first == 0xE0 and 0xA0 or first == 0xF0 and 0x90 or 0x80
  local highest = first == 0xED and 0x9F or first == 0xF4 and 0x8F or 0xBF
  local rest = text:sub(position + 2, position + length - 1)
  if second < lowest or second > highest or not rest:find "^[\128-\191]*$" then
    return nil
  end
  return #rest == length - 2 and length or nil
end

--- The text with every byte that is not part of UTF-8 replaced by U+FFFD.
---@param text string
---@return string
---@return boolean is_whole whether nothing had to be replaced
function encode.utf8(text)
  local position = text:find "[\128-\255]"
  local kept, from = nil, 1
  while position do
    local length = sequence_at(text, position)
    if not length then
      kept = kept or {}
      kept[#kept + 1] = text:sub(from, position - 1) .. REPLACEMENT
      from = position + 1
    end
    position = text:find("[\128-\255]", position + (length or 1))
  end
  if not kept then
    return text, true
  end
  kept[#kept + 1] = text:sub(from)
  return table.concat(kept), false
end

--- The first bytes of a text, no character cut in two.
---@param text string
---@param most integer bytes
---@return string
function encode.excerpt(text, most)
  if #text <= most then
    return text
  end
  while most > 0 and text:find("^[\128-\191]", most + 1) do
    most = most - 1
  end
  return text:sub(1, most)
end

--- Writes a value; numbers that JSON has not are an error, as in lua-cjson.
---@param value any
---@return string json one line
function encode.json(value)
  local text = cjson.encode(value):gsub(written_empty, "[]")
  return (encode.utf8(text))
end

return encode
