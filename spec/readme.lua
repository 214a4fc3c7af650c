--- Keeps the README's tables and example the same as what they show.
--
--     lua5.4 spec/readme.lua          writes them
--     lua5.4 spec/readme.lua --check  only says whether they are right, by its exit status
--
-- Such a part stands between <!-- name --> and <!-- end --> lines.
local errors = require "sendapi.error"
local options = require "sendapi.options"

local function read(path)
  local file = assert(io.open(path, "rb"))
  local text = file:read "*a"
  file:close()
  return text
end

local function default_of(option)
  local default = option.default
  if option.shown then
    return option.shown
  elseif option.environment then
    return ("`%s`"):format(option.environment)
  elseif default == nil or type(default) == "table" then
    return "none"
  end
  return ("%s%s"):format(tostring(default), option.unit == "seconds" and " s" or "")
end

local parts = {}

function parts.options()
  local rows = { "| option | default | |", "|-|-|-|" }
  for _, option in ipairs(options.list) do
    rows[#rows + 1] = ("| `%s` | %s | %s |"):format(
      option.name,
      default_of(option),
      option.sentence
    )
  end
  return table.concat(rows, "\n")
end

function parts.errors()
  local rows = { "| code | class | |", "|-|-|-|" }
  for _, code in ipairs(errors.codes) do
    rows[#rows + 1] = ("| `%s` | %s | %s |"):format(code.code, code.class, code.message)
  end
  return table.concat(rows, "\n")
end

function parts.quickstart()
  return "```lua\n" .. read "examples/quickstart.lua" .. "```"
end

local function wrapped(text)
  local lines, line = {}, ""
  for word in text:gmatch "%S+" do
    if #line + #word > 115 then
      lines[#lines + 1], line = line, ""
    end
    line = line == "" and word or line .. " " .. word
  end
  lines[#lines + 1] = line
  return table.concat(lines, "\n")
end

--- The sentence of the annotation (outbox.lua), from "When a call returns" to its end.
function parts.promise()
  local comment = read("lua/sendapi/outbox.lua"):match "\n%-%- (When a call returns.-%.)\n%-%-\n"
  local text = assert(comment, "outbox.lua lacks its promise"):gsub("%s*\n%-%- ", " ")
  return "*" .. wrapped(text) .. "*"
end

function parts.location()
  return "```nginx\n" .. read "examples/connector/location.conf" .. "```"
end

local function render(text)
  local seen = {}
  local marked = "(<!%-%- ([%w_]+) %-%->\n)(.-)(<!%-%- end %-%->)"
  local rendered = text:gsub(marked, function(begin, name, _, last)
    seen[name] = true
    return begin .. assert(parts[name], "no part is called " .. name)() .. "\n" .. last
  end)
  for name in pairs(parts) do
    assert(seen[name], "README.md lacks the part " .. name)
  end
  return rendered
end

local before = read "README.md"
local after = render(before)
if arg[1] == "--check" then
  if before ~= after then
    io.stderr:write "README.md differs from what it shows: run lua5.4 spec/readme.lua\n"
    os.exit(1)
  end
elseif before ~= after then
  local file = assert(io.open("README.md", "wb"))
  file:write(after)
  file:close()
end
