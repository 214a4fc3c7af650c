--- What the sub-commands read: files, the standard input, the environment.
local M = {}

local TOKEN = "SENDAPI_TOKEN"

--- A whole file.
---@param path string
---@return string|nil content
---@return string|nil message with the path in it
function M.file(path)
  local file, message = io.open(path, "rb")
  if not file then
    return nil, message
  end
  local content
  content, message = file:read "*a"
  file:close()
  if not content then
    return nil, ("%s: %s"):format(path, message or "it cannot be read")
  end
  return content
end

--- All of the standard input, as it is.
---@return string
function M.standard()
  return io.stdin:read "*a" or ""
end

--- A variable that is set and not empty, or nil.
---@param name string
---@return string|nil
function M.variable(name)
  local value = os.getenv(name)
  return value ~= "" and value or nil
end

--- An argument that has to be a number.
---@param word string
---@return number|nil
---@return string|nil message
function M.number(word)
  local number = tonumber(word)
  return number, not number and ("expected a number, got '%s'"):format(word) or nil
end

--- An argument that has to be a whole number above 0.
---@param word string
---@return number|nil
---@return string|nil message
function M.count(word)
  local number = word:find "^%d+$" and tonumber(word)
  local is_fine = number and number >= 1 and number < 2 ^ 53
  return is_fine and number or nil,
    not is_fine and ("expected a whole number above 0, got '%s'"):format(word) or nil
end

--- The access token: from a file, without the line break at its end, or from the environment.
---@param path string|nil
---@return string|nil token
---@return string|nil message
function M.token(path)
  if not path then
    local token = M.variable(TOKEN)
    return token, not token and ("the token is missing: set %s"):format(TOKEN) or nil
  end
  local content, message = M.file(path)
  local token = content and content:gsub("\r?\n$", "")
  if token == "" then
    return nil, path .. ": there is no token in it"
  end
  return token, message
end

return M
