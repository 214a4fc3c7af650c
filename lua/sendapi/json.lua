--- Reads JSON from strangers, strictly (RFC 8259).
--
-- lua-cjson does the reading; what it lets pass beyond JSON is refused here: text that is not
-- UTF-8, bare control characters in strings, anything behind a NUL, numbers such as `1.` or `-.5`.
local cjson = require "cjson"

--- A reader that goes so many arrays and objects deep.
local function new_reader(deepest)
  local reader = cjson.new()
  reader.decode_invalid_numbers(false)
  reader.decode_max_depth(deepest)
  return reader
end

local usual, shallow = new_reader(1000), new_reader(64)

-- Every well-formed UTF-8 sequence of more than one byte, by its first bytes.
local utf8_sequences = {
  "[\194-\223][\128-\191]",
  "\224[\160-\191][\128-\191]",
  "[\225-\236\238\239][\128-\191][\128-\191]",
  "\237[\128-\159][\128-\191]",
  "\240[\144-\191][\128-\191][\128-\191]",
  "[\241-\243][\128-\191][\128-\191][\128-\191]",
  "\244[\128-\143][\128-\191][\128-\191]",
}

local function is_utf8(text)
  for _, sequence in ipairs(utf8_sequences) do
    if not text:find "[\128-\255]" then
      break
    end
    text = text:gsub(sequence, "?")
  end
  return not text:find "[\128-\255]"
end

--- `unescaped` is text without its escapes, so that every quote begins or ends a string.
local function has_line_break_in_string(unescaped)
  for content in unescaped:gmatch '"([^"]*)"' do
    if content:find "[\t\n\r]" then
      return true
    end
  end
  return false
end

--- Whether text that lua-cjson could read is made of the characters that JSON allows.
local function has_strict_characters(text, unescaped)
  if text:find "^[ -~]*$" then
    return true
  end
  return not text:find("\0", 1, true)
    and not text:find "[\1-\8\11\12\14-\31]"
    and not (text:find "[\t\n\r]" and has_line_break_in_string(unescaped))
    and is_utf8(text)
end

--- `skeleton` is text with empty strings: a point in it stands in a number.
local function has_strict_numbers(skeleton)
  return not skeleton:find(".", 1, true)
    or not (skeleton:find "%.%D" or skeleton:find "%.$" or skeleton:find "%f[%.%d]%.")
end

--- How many keys all the objects in it have together; nil when a number is not finite.
local function count_keys(value)
  if type(value) ~= "table" then
    return (value ~= math.huge and value ~= -math.huge) and 0 or nil
  end
  local count = 0
  for key, item in next, value do
    local inner = count_keys(item)
    if not inner then
      return nil
    end
    count = count + inner + (type(key) == "string" and 1 or 0)
  end
  return count
end

local M = {
  --- What `null` becomes.
  null = cjson.null,
}

--- Also gives the text without its escapes and without the contents of its strings.
local function read(reader, text)
  local is_decoded, value = pcall(reader.decode, text)
  if not is_decoded then
    return false, "it is not JSON, or too deep"
  end
  local unescaped = text:find("\\", 1, true) and text:gsub("\\.", "") or text
  if not has_strict_characters(text, unescaped) then
    return false, "it has bytes that JSON does not allow"
  end
  local skeleton = unescaped:gsub('"[^"]*"', '""')
  if not has_strict_numbers(skeleton) then
    return false, "it has a number that JSON does not allow"
  end
  return true, value, skeleton
end

--- Reads one value, at most 1,000 arrays and objects deep. Raises nothing, whatever the text.
---@param text string
---@return boolean is_json
---@return any value or, when it is no JSON, a few words that say why and quote nothing of it
function M.decode(text)
  local is_json, value = read(usual, text)
  return is_json, value
end

--- The same, but refuses as well what JSON allows and readers take differently: a key that is there
-- twice, a number too large for a double, more than 64 arrays and objects within one another.
---@param text string
---@return boolean is_json
---@return any value or a few words
function M.decode_unambiguous(text)
  local is_json, value, skeleton = read(shallow, text)
  if not is_json then
    return false, value
  end
  local keys = count_keys(value)
  if not keys then
    return false, "it has a number that is too large"
  end
  local _, colons = skeleton:gsub(":", ":")
  if keys ~= colons then
    return false, "a key is there twice"
  end
  return true, value
end

--- The JSON type of a decoded value: "object", "array", "string", "number", "boolean"; "userdata"
-- for null. An empty set, which may be either, counts as an object.
---@param value any
---@return string
function M.type(value)
  if type(value) ~= "table" then
    return type(value)
  end
  return type(next(value)) == "number" and "array" or "object"
end

return M
