--- A file that returns a table, run with nothing within its reach.
local input = require "sendapi.cli.input"

local M = {}

--- Loads text, and only text, with an empty environment.
local function load_bare(text, name)
  if not rawget(_G, "setfenv") then
    return load(text, name, "t", {})
  elseif text:sub(1, 1) == "\27" then
    return nil, name:sub(2) .. ": it is compiled, not text"
  end
  local chunk, message = rawget(_G, "loadstring")(text, name)
  return chunk and rawget(_G, "setfenv")(chunk, {}), message
end

--- The table.
---@param path string
---@return table|nil
---@return string|nil message with the path in it
function M.read(path)
  local text, message = input.file(path)
  local chunk
  if text then
    chunk, message = load_bare(text, "@" .. path)
  end
  if not chunk then
    return nil, message
  end
  local is_run, value = pcall(chunk)
  if not is_run then
    return nil, tostring(value)
  elseif type(value) ~= "table" then
    return nil, ("%s: expected it to return a table of options, got a %s"):format(path, type(value))
  end
  return value
end

return M
