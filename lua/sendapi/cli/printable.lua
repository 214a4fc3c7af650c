--- Texts of strangers, fit for a terminal: nothing in them moves, colours, hides or turns a line.
local M = {}

-- The first and the last code point of what is shown by its number: controls, and what is not seen
-- but changes what is (directions, joiners, separators, tags).
local HARMFUL = {
  { 0x00, 0x1F },
  { 0x7F, 0x9F },
  { 0xAD, 0xAD },
  { 0x61C, 0x61C },
  { 0x180E, 0x180E },
  { 0x200B, 0x200F },
  { 0x2028, 0x202E },
  { 0x2060, 0x206F },
  { 0xFEFF, 0xFEFF },
  { 0xFFF9, 0xFFFB },
  { 0xE0000, 0xE0FFF },
}

-- Well-formed UTF-8 of more than one byte, and what of the first byte belongs to the number.
local SEQUENCES = {
  { "^[\194-\223][\128-\191]", 0xC0 },
  { "^\224[\160-\191][\128-\191]", 0xE0 },
  { "^[\225-\236\238\239][\128-\191][\128-\191]", 0xE0 },
  { "^\237[\128-\159][\128-\191]", 0xE0 },
  { "^\240[\144-\191][\128-\191][\128-\191]", 0xF0 },
  { "^[\241-\243][\128-\191][\128-\191][\128-\191]", 0xF0 },
  { "^\244[\128-\143][\128-\191][\128-\191]", 0xF0 },
}

local function is_harmful(code)
  for _, range in ipairs(HARMFUL) do
    if code >= range[1] and code <= range[2] then
      return true
    end
  end
  return false
end

--- The character that stands at a place, and its number; without one it is a byte of none.
local function character_at(text, place)
  local first = text:byte(place)
  if first < 0x80 then
    return text:sub(place, place), first
  end
  for _, sequence in ipairs(SEQUENCES) do
    local found = text:match(sequence[1], place)
    if found then
      local code = first - sequence[2]
      for i = 2, #found do
        code = code * 64 + found:byte(i) - 0x80
      end
      return found, code
    end
  end
  return text:sub(place, place), nil
end

--- Replaces by `show(code, byte)` what is harmful; `code` is nil for what is no UTF-8.
local function escape(text, show)
  return (text:gsub("[%c\127-\255]+", function(run)
    local parts, place = {}, 1
    while place <= #run do
      local found, code = character_at(run, place)
      local is_shown = code and not is_harmful(code)
      parts[#parts + 1] = is_shown and found or show(code, found:byte())
      place = place + #found
    end
    return table.concat(parts)
  end))
end

local SHORT = { [9] = "\\t", [10] = "\\n", [13] = "\\r" }

local function show_in_text(code, byte)
  if not code then
    return ("\\x%02X"):format(byte)
  end
  return SHORT[code] or ("\\u{%X}"):format(code)
end

local function show_in_json(code)
  if not code then
    return "\\uFFFD"
  elseif code < 0x10000 then
    return ("\\u%04X"):format(code)
  end
  code = code - 0x10000
  return ("\\u%04X\\u%04X"):format(0xD800 + math.floor(code / 0x400), 0xDC00 + code % 0x400)
end

--- On one line.
---@param text string any bytes
---@return string
function M.text(text)
  return escape(text, show_in_text)
end

--- The same value; what is no UTF-8 becomes U+FFFD.
---@param text string JSON without line breaks outside of its strings
---@return string
function M.json(text)
  return escape(text, show_in_json)
end

--- The end of the string that begins at a place.
local function end_of_string(text, place)
  repeat
    place = text:find('["\\]', place + 1)
    local is_escape = text:byte(place) == 0x5C
    if is_escape then
      place = place + 1
    end
  until not is_escape
  return place
end

local function next_token(text, place)
  place = text:find("[^ \t\r\n]", place)
  if not place then
    return nil
  end
  local char = text:sub(place, place)
  if char == '"' then
    local last = end_of_string(text, place)
    return text:sub(place, last), last + 1
  elseif char:find "[%[%]{},:]" then
    return char, place + 1
  end
  local word = text:match("^[^%[%]{},: \t\r\n]+", place)
  return word, place + #word
end

local function new_line(depth)
  return "\n" .. ("  "):rep(depth)
end

--- Over several lines, indented.
---@param text string well-formed JSON
---@return string
function M.pretty(text)
  local parts, depth, before = {}, 0, ""
  local token, place = next_token(text, 1)
  while token do
    local closes = token == "}" or token == "]"
    local is_inside = before == "{" or before == "["
    depth = depth - (closes and 1 or 0)
    if closes ~= is_inside or before == "," then
      parts[#parts + 1] = new_line(depth)
    end
    parts[#parts + 1] = M.json(token) .. (token == ":" and " " or "")
    depth = depth + ((token == "{" or token == "[") and 1 or 0)
    before = token
    token, place = next_token(text, place)
  end
  return table.concat(parts)
end

return M
