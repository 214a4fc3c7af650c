--- Where the library reports what it can tell nobody else: nginx's log, or the error stream.
local M = {}

local LEVELS = { error = "ERR", warn = "WARN", info = "INFO" }

--- The option `log` unless given.
---@param level "error"|"warn"|"info"
---@param message string never holds a token or a payload
function M.default(level, message)
  local ngx = rawget(_G, "ngx")
  if type(ngx) == "table" and ngx.log then
    ngx.log(ngx[LEVELS[level]], "sendapi: ", message)
  else
    io.stderr:write("sendapi: ", level, ": ", message, "\n")
  end
end

--- Any value as text, without raising: the name of its type when it cannot be shown.
---@param value any
---@return string
function M.text(value)
  local is_shown, text = pcall(tostring, value)
  return is_shown and type(text) == "string" and text or type(value)
end

--- A log function that never raises: what cannot be told is not worth an answer that gets lost.
---@param given fun(level: string, message: string)|nil
---@return fun(level: string, message: string)
function M.guarded(given)
  local report = given or M.default
  return function(level, message)
    pcall(report, level, message)
  end
end

return M
