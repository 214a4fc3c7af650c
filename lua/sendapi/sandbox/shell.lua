--- Commands of the system, from plain Lua.
local shell = {}

--- One argument of a command line, whatever it holds; raises if it holds a NUL byte.
---@param argument string|number
---@return string
function shell.quote(argument)
  local text = tostring(argument)
  assert(not text:find("\0", 1, true), "a shell argument cannot hold a NUL byte")
  return "'" .. text:gsub("'", "'\\''") .. "'"
end

--- Runs a command of `sh` and waits for it. It reads nothing; it may leave daemons behind if these
-- have closed its output.
---@param command string
---@return boolean ok     whether its exit status was 0
---@return string output  of both streams, without the line breaks at its end
function shell.run(command)
  local pipe, message = io.popen("(" .. command .. '\n) </dev/null 2>&1; printf "\\n%s" "$?"')
  if not pipe then
    return false, message
  end
  local everything = pipe:read "*a"
  pipe:close()
  local output, status = everything:match "^(.-)%s*\n(%d+)$"
  return status == "0", output or everything
end

return shell
