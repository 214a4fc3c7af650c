--- A reader of JSON that shares nothing with the library's: slow, and strict to the letter.
local strict_json = {}

local DEEPEST = 64

local function fail(reader, why)
  error({ at = reader.at, why = why }, 0)
end

local function peek(reader)
  return reader.text:sub(reader.at, reader.at)
end

local function skip_space(reader)
  while peek(reader):find "[ \t\n\r]" do
    reader.at = reader.at + 1
  end
end

local function expect(reader, literal)
  if reader.text:sub(reader.at, reader.at + #literal - 1) ~= literal then
    fail(reader, "expected " .. literal)
  end
  reader.at = reader.at + #literal
end

-- How many bytes a character has, by the range of its first, with the least code point of that
-- length and what the first byte contributes.
local LENGTHS = {
  { 0x00, 0x7F, 1, 0, 0x7F },
  { 0xC0, 0xDF, 2, 0x80, 0x1F },
  { 0xE0, 0xEF, 3, 0x800, 0x0F },
  { 0xF0, 0xF7, 4, 0x10000, 0x07 },
}

local function read_character(reader)
  local first = reader.text:byte(reader.at)
  for _, row in ipairs(LENGTHS) do
    if first >= row[1] and first <= row[2] then
      local code = first % (row[5] + 1)
      for i = 1, row[3] - 1 do
        local byte = reader.text:byte(reader.at + i)
        if not byte or byte < 0x80 or byte > 0xBF then
          fail(reader, "half a character")
        end
        code = code * 64 + byte - 0x80
      end
      if code < row[4] or code > 0x10FFFF or (code >= 0xD800 and code <= 0xDFFF) then
        fail(reader, "no character")
      end
      reader.at = reader.at + row[3]
      return
    end
  end
  fail(reader, "no first byte")
end

local function read_four_digits(reader)
  local digits = reader.text:sub(reader.at, reader.at + 5):match "^\\u(%x%x%x%x)$"
  if not digits then
    fail(reader, "expected \\u and four digits")
  end
  reader.at = reader.at + 6
  return tonumber(digits, 16)
end

local ESCAPES = {
  ['"'] = '"',
  ["\\"] = "\\",
  ["/"] = "/",
  b = "\b",
  f = "\f",
  n = "\n",
  r = "\r",
  t = "\t",
}

--- The escaped character in UTF-8.
local function read_escape(reader)
  local simple = ESCAPES[reader.text:sub(reader.at + 1, reader.at + 1)]
  if simple then
    reader.at = reader.at + 2
    return simple
  end
  local code = read_four_digits(reader)
  if code >= 0xDC00 and code <= 0xDFFF then
    fail(reader, "the second half of a pair")
  elseif code >= 0xD800 and code <= 0xDBFF then
    local second = read_four_digits(reader)
    if second < 0xDC00 or second > 0xDFFF then
      fail(reader, "expected the second half of a pair")
    end
    code = 0x10000 + (code - 0xD800) * 1024 + second - 0xDC00
  end
  return require("spec.support.generator").character(code)
end

local function read_string(reader)
  expect(reader, '"')
  local parts = {}
  while peek(reader) ~= '"' do
    local byte = reader.text:byte(reader.at)
    if not byte or byte < 32 then
      fail(reader, "no character of a string")
    elseif byte == 92 then
      parts[#parts + 1] = read_escape(reader)
    else
      local from = reader.at
      read_character(reader)
      parts[#parts + 1] = reader.text:sub(from, reader.at - 1)
    end
  end
  expect(reader, '"')
  return table.concat(parts)
end

local function read_digits(reader)
  local digits = reader.text:match("^%d+", reader.at) or fail(reader, "expected digits")
  reader.at = reader.at + #digits
end

local function read_number(reader)
  local from = reader.at
  if peek(reader) == "-" then
    reader.at = reader.at + 1
  end
  if peek(reader) == "0" then
    reader.at = reader.at + 1
  else
    read_digits(reader)
  end
  if peek(reader) == "." then
    reader.at = reader.at + 1
    read_digits(reader)
  end
  if peek(reader):lower() == "e" then
    reader.at = reader.at + 1
    if peek(reader):find "[+-]" then
      reader.at = reader.at + 1
    end
    read_digits(reader)
  end
  local number = tonumber(reader.text:sub(from, reader.at - 1))
  if number == math.huge or number == -math.huge then
    fail(reader, "too large")
  end
  return number
end

local read_value

--- Reads members between two brackets, with commas between them.
local function read_members(reader, open, close, read_member)
  expect(reader, open)
  reader.depth = reader.depth + 1
  if reader.depth > DEEPEST then
    fail(reader, "too deep")
  end
  skip_space(reader)
  if peek(reader) ~= close then
    read_member()
    skip_space(reader)
    while peek(reader) ~= close do
      expect(reader, ",")
      skip_space(reader)
      read_member()
      skip_space(reader)
    end
  end
  expect(reader, close)
  reader.depth = reader.depth - 1
end

local function read_object(reader)
  local object = { kind = "object", members = {} }
  read_members(reader, "{", "}", function()
    local name = read_string(reader)
    if object.members[name] then
      fail(reader, "there twice")
    end
    skip_space(reader)
    expect(reader, ":")
    object.members[name] = read_value(reader)
  end)
  return object
end

local function read_array(reader)
  local array = { kind = "array", items = {} }
  read_members(reader, "[", "]", function()
    array.items[#array.items + 1] = read_value(reader)
  end)
  return array
end

local LITERALS = {
  t = { "true", { kind = "boolean", value = true } },
  f = { "false", { kind = "boolean", value = false } },
  n = { "null", { kind = "null" } },
}

function read_value(reader)
  skip_space(reader)
  local first = peek(reader)
  if LITERALS[first] then
    expect(reader, LITERALS[first][1])
    return LITERALS[first][2]
  elseif first == "{" then
    return read_object(reader)
  elseif first == "[" then
    return read_array(reader)
  elseif first == '"' then
    return { kind = "string", value = read_string(reader) }
  end
  return { kind = "number", value = read_number(reader) }
end

--- Reads a text as { kind = "object", members = … } and so on; nil and why when it is not JSON, has
-- a key twice, a number that is not finite, or more than 64 arrays and objects within one another.
---@param text string
---@return table|nil value
---@return table|nil problem
function strict_json.read(text)
  local reader = { text = text, at = 1, depth = 0 }
  local fine, value = pcall(function()
    local read = read_value(reader)
    skip_space(reader)
    if reader.at <= #text then
      fail(reader, "something behind it")
    end
    return read
  end)
  if not fine and type(value) ~= "table" then
    error(value, 0)
  end
  return fine and value or nil, not fine and value or nil
end

return strict_json
