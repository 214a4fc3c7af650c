--- One JSON value in the forms that common libraries give it, with the keys in their order.
--
-- Pure. For finding out which bytes somebody has signed.
local cjson = require "cjson"

local serialisations = {}

--- Reads a value from tokens; the text was found to be JSON before.
local function read(tokens, at)
  local token = tokens[at]
  local close = token == "{" and "}" or token == "[" and "]"
  if not close then
    return token, at + 1
  end
  local value = { open = token, close = close }
  at = at + 1
  while tokens[at] ~= close do
    local item = {}
    if token == "{" then
      item.key, at = tokens[at], at + 2
    end
    item.value, at = read(tokens, at)
    value[#value + 1] = item
    at = tokens[at] == "," and at + 1 or at
  end
  return value, at + 1
end

--- The end of the string that begins at a position.
local function end_of_string(text, position)
  local at = position
  repeat
    at = text:find('["\\]', at + 1)
    local is_escape = text:sub(at, at) == "\\"
    at = is_escape and at + 1 or at
  until not is_escape
  return at
end

local function tokens_of(text)
  local tokens, position = {}, text:find "[^ \t\r\n]"
  while position do
    local last = position
    local first = text:sub(position, position)
    if first == '"' then
      last = end_of_string(text, position)
    elseif first:find "[%w%-]" then
      last = text:match("^[%w%-+.]+()", position) - 1
    end
    tokens[#tokens + 1] = text:sub(position, last)
    position = text:find("[^ \t\r\n]", last + 1)
  end
  return tokens
end

local SHORT = {
  ["\8"] = "\\b",
  ["\9"] = "\\t",
  ["\10"] = "\\n",
  ["\12"] = "\\f",
  ["\13"] = "\\r",
  ['"'] = '\\"',
  ["\\"] = "\\\\",
}

local function escape(character)
  return SHORT[character] or ("\\u%04x"):format(character:byte())
end

--- A character of several bytes as one or two `\u`.
local function escape_wide(character)
  local code = character:byte(1) % (#character == 2 and 32 or #character == 3 and 16 or 8)
  for i = 2, #character do
    code = code * 64 + character:byte(i) % 64
  end
  if code < 0x10000 then
    return ("\\u%04x"):format(code)
  end
  code = code - 0x10000
  return ("\\u%04x\\u%04x"):format(0xD800 + math.floor(code / 1024), 0xDC00 + code % 1024)
end

local function write_string(token, form)
  local text = cjson.decode("[" .. token .. "]")[1]
  text = text:gsub('[%z\1-\31"\\]', escape)
  if form.slashes then
    text = text:gsub("/", "\\/")
  end
  if form.ascii then
    text = text:gsub("[\194-\244][\128-\191]+", escape_wide)
  end
  return '"' .. text .. '"'
end

local function sorted(value, form)
  if not (form.sorted and value.open == "{") then
    return value
  end
  local copy = { open = value.open, close = value.close }
  for i, item in ipairs(value) do
    copy[i] = item
  end
  table.sort(copy, function(one, other)
    return one.key < other.key
  end)
  return copy
end

local function write(value, form, indent)
  if type(value) == "string" then
    return value:find '^"' and write_string(value, form) or value
  elseif #value == 0 then
    return value.open .. value.close
  end
  local inner = form.indent and indent .. form.indent or ""
  local parts = {}
  for i, item in ipairs(sorted(value, form)) do
    local key = item.key and write_string(item.key, form) .. form.colon or ""
    parts[i] = inner .. key .. write(item.value, form, inner)
  end
  local last = form.indent and "\n" .. indent or ""
  local first = form.indent and "\n" or ""
  return value.open .. first .. table.concat(parts, form.comma) .. last .. value.close
end

local LAYOUTS = {
  { name = "without spaces", comma = ",", colon = ":" },
  { name = "with a space after every comma and colon", comma = ", ", colon = ": " },
  { name = "indented by 2 spaces", comma = ",\n", colon = ": ", indent = "  " },
  { name = "indented by 4 spaces", comma = ",\n", colon = ": ", indent = "    " },
}

local WRITINGS = {
  {},
  { name = "slashes escaped", slashes = true },
  { name = "other characters than ASCII as \\u", ascii = true },
  { name = "slashes escaped and \\u for what is not ASCII", slashes = true, ascii = true },
}

local function each_form(visit)
  for _, is_sorted in ipairs { false, true } do
    for _, layout in ipairs(LAYOUTS) do
      for _, writing in ipairs(WRITINGS) do
        local names = { layout.name, writing.name }
        names[#names + 1] = is_sorted and "keys sorted" or nil
        visit({
          comma = layout.comma,
          colon = layout.colon,
          indent = layout.indent,
          slashes = writing.slashes,
          ascii = writing.ascii,
          sorted = is_sorted,
        }, table.concat(names, ", "))
      end
    end
  end
end

--- Every form that is another text than the given one and than the forms before it.
---@param text string JSON, found to be right before
---@return { text: string, name: string }[]
function serialisations.of(text)
  local value = read(tokens_of(text), 1)
  local seen, forms = { [text] = true }, {}
  each_form(function(form, name)
    local written = write(value, form, "")
    if not seen[written] then
      seen[written] = true
      forms[#forms + 1] = { text = written, name = name }
    end
  end)
  return forms
end

return serialisations
