--- Messages made up from a seed, with what they should read back as: the same under every Lua.
local cjson = require "cjson"

---@class spec.Generator
---@field private state number
local Generator = {}
Generator.__index = Generator

local generator = {}

---@param seed integer from 1 to 2147483646
---@return spec.Generator
function generator.new(seed)
  return setmetatable({ state = seed }, Generator)
end

--- A whole number from 0 to `bound` - 1 (Park and Miller's minimal standard).
function Generator:below(bound)
  self.state = self.state * 16807 % 2147483647
  return self.state % bound
end

function Generator:one_of(list)
  return list[self:below(#list) + 1]
end

--- True once in `n` times.
function Generator:once_in(n)
  return self:below(n) == 0
end

local floor = math.floor

--- The UTF-8 bytes of a character.
---@param code integer
function generator.character(code)
  if code < 0x80 then
    return string.char(code)
  elseif code < 0x800 then
    return string.char(0xC0 + floor(code / 64), 0x80 + code % 64)
  elseif code < 0x10000 then
    return string.char(
      0xE0 + floor(code / 4096),
      0x80 + floor(code / 64) % 64,
      0x80 + code % 64
    )
  end
  return string.char(
    0xF0 + floor(code / 262144),
    0x80 + floor(code / 4096) % 64,
    0x80 + floor(code / 64) % 64,
    0x80 + code % 64
  )
end

local SPECIAL = {
  '"',
  "\\",
  "/",
  "\\u0000",
  "\\ud800",
  "</script>",
  "\127",
  "\194\128",
  "\226\128\168", -- U+2028
  "\226\128\169", -- U+2029
  "\237\159\191", -- U+D7FF, the last before the surrogates
  "\238\128\128", -- U+E000, the first after them
  "\239\187\191", -- U+FEFF
  "\239\191\191", -- U+FFFF
  "\240\144\128\128", -- U+10000
  "\244\143\191\191", -- U+10FFFF
}

local function letters(self)
  local made = {}
  for i = 1, self:below(12) + 1 do
    made[i] = string.char(32 + self:below(95))
  end
  return table.concat(made)
end

local PIECES = {
  letters,
  letters,
  letters,
  function(self)
    return string.char(self:below(32))
  end,
  function(self)
    return self:one_of(SPECIAL)
  end,
  function(self)
    return generator.character(0x80 + self:below(0x780))
  end,
  function(self)
    local code = 0x800 + self:below(0xF800 - 0x800)
    return generator.character(code < 0xD800 and code or code + 0x800)
  end,
  function(self)
    return generator.character(0x10000 + self:below(0x100000))
  end,
}

--- A text of up to `most` pieces.
function Generator:text(most)
  local pieces = {}
  for i = 1, self:below(most + 1) do
    pieces[i] = self:one_of(PIECES)(self)
  end
  return table.concat(pieces)
end

--- A text that is not empty.
function Generator:filled_text(most)
  return "t" .. self:text(most)
end

--- A number that every Lua holds exactly.
function Generator:number()
  local whole = self:below(2147483647) - 1073741823
  if self:once_in(3) then
    return whole
  elseif self:once_in(2) then
    return whole * 4194303 -- up to 2^52
  end
  return whole / 2 ^ self:below(30)
end

--- What a text field takes, and the text it becomes.
local function text_value(self)
  if self:once_in(8) then
    local number = self:below(1000000000) - 500000000
    return number, ("%d"):format(number)
  end
  local text = self:filled_text(6)
  return text, text
end

local function date_value(self)
  if self:once_in(3) then
    local text = self:filled_text(3)
    return text, text
  end
  local seconds = self:below(2147483647) - 1000000000
  return seconds, os.date("!%Y-%m-%dT%H:%M:%SZ", seconds)
end

local function boolean_value(self)
  local value = self:once_in(2)
  return value, value
end

local function sequence_of(make, most)
  return function(self)
    local given, expected = {}, {}
    for i = 1, self:below(most + 1) do
      given[i], expected[i] = make(self)
    end
    return given, expected
  end
end

local texts_value = sequence_of(text_value, 5)

local function map_value(self)
  local given, expected = {}, {}
  for _ = 1, self:below(6) do
    local name = self:text(2)
    local make = self:once_in(2) and texts_value or text_value
    given[name], expected[name] = make(self)
    if self:once_in(6) then
      given[name], expected[name] = cjson.null, nil
    end
  end
  return given, expected
end

local any_value

local function any_sequence(self, depth)
  local given, expected = {}, {}
  for i = 1, self:below(5) do
    given[i], expected[i] = any_value(self, depth)
  end
  return given, expected
end

local function any_map(self, depth)
  local given, expected = {}, {}
  for _ = 1, self:below(5) do
    local name = self:text(2)
    given[name], expected[name] = any_value(self, depth)
    if expected[name] == cjson.null then
      expected[name] = nil
    end
  end
  return given, expected
end

--- Whatever JSON can hold, `depth` tables deep at most.
function any_value(self, depth)
  local kind = self:below(depth > 0 and 8 or 4)
  if kind == 0 then
    local number = self:number()
    return number, number
  elseif kind == 1 then
    return boolean_value(self)
  elseif kind == 2 then
    return cjson.null, cjson.null
  elseif kind == 3 then
    local text = self:text(4)
    return text, text
  elseif kind < 6 then
    return any_sequence(self, depth - 1)
  end
  return any_map(self, depth - 1)
end

--- Makes an object: all of the `needed` fields, some of the `others`.
local function object_of(needed, others)
  return function(self)
    local given, expected = {}, {}
    for _, field in ipairs(needed) do
      given[field[1]], expected[field[1]] = field[2](self)
    end
    for _, field in ipairs(others) do
      if self:once_in(3) then
        given[field[1]], expected[field[1]] = field[2](self)
      elseif self:once_in(6) then
        given[field[1]] = cjson.null
      end
    end
    return given, expected
  end
end

local user_value = object_of({
  { "id", text_value },
  { "created_at", date_value },
  { "screenname", text_value },
}, {
  { "avatar_url", text_value },
  { "context_data", map_value },
  { "email", text_value },
  { "gender", text_value },
  { "puppetizable", boolean_value },
  { "updated_at", date_value },
})

local linked = object_of({ { "url", text_value } }, { { "filename", text_value } })
local enclosed = object_of(
  { { "content", text_value }, { "filename", text_value } },
  { { "type", text_value } }
)

local function attachment_value(self)
  return (self:once_in(2) and linked or enclosed)(self)
end

local message_value = object_of({
  { "id", text_value },
  { "author", user_value },
  { "body", text_value },
  { "thread_id", text_value },
}, {
  { "actions", texts_value },
  { "attachments", sequence_of(attachment_value, 3) },
  { "categories", texts_value },
  { "context_data", map_value },
  { "created_at", date_value },
  { "display_url", text_value },
  { "format", text_value },
  { "in_reply_to_id", text_value },
  { "ip", text_value },
  { "language", text_value },
  { "structured_reply", object_of({}, { { "payload", text_value } }) },
  { "updated_at", date_value },
})

--- The params of a message, and what they should read back as. Fields that no schema knows begin
--- with "x".
function Generator:message()
  local given, expected = message_value(self)
  for _ = 1, self:below(4) do
    local name = "x" .. self:text(2)
    given[name], expected[name] = any_value(self, self:below(7))
    if expected[name] == cjson.null then
      expected[name] = nil
    end
  end
  return given, expected
end

return generator
