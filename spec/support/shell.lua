--- Runs commands for specs, with input, and keeps their outputs apart.
local shell = {}

--- The Lua that programs of specs are run by, by its name on the PATH: there it may stand for one
-- that is prepared, with sanitizers.
shell.lua = rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match "%d%.%d"

--- What a program of a spec may be run under besides, as the specs themselves are; most often "".
shell.instrument = os.getenv "SENDAPI_INSTRUMENT" or ""

--- One argument of a command line.
---@param argument string|number
---@return string
function shell.quote(argument)
  return "'" .. tostring(argument):gsub("'", "'\\''") .. "'"
end

function shell.read_file(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read "*a"
  file:close()
  return content
end

function shell.write_file(path, content)
  local file = assert(io.open(path, "wb"))
  file:write(content)
  file:close()
end

---@class spec.CommandResult
---@field status integer of the command's exit
---@field output string
---@field errors string  what it wrote to its second stream

--- Runs a command of `sh` and waits for it.
---@param command string
---@param input? string bytes for its standard input; none by default
---@return spec.CommandResult
function shell.run(command, input)
  local base = os.tmpname()
  local errors_path, input_path = base .. ".errors", base .. ".input"
  local from = "/dev/null"
  if input then
    shell.write_file(input_path, input)
    from = shell.quote(input_path)
  end
  local pipe = assert(
    io.popen(("(%s\n) <%s 2>%s; printf '\\n%%s' \"$?\""):format(command, from, errors_path))
  )
  local everything = pipe:read "*a"
  pipe:close()
  local output, status = everything:match "^(.*)\n(%d+)$"
  local result = {
    status = tonumber(status),
    output = output,
    errors = shell.read_file(errors_path),
  }
  os.remove(base)
  os.remove(errors_path)
  os.remove(input_path)
  return result
end

--- Asks again and again until something is so.
---@param condition fun(): any
---@param seconds number at most
---@return any what `condition` returned last
function shell.wait_until(condition, seconds)
  local result
  for _ = 1, seconds * 20 do
    result = condition()
    if result then
      break
    end
    os.execute "sleep 0.05"
  end
  return result
end

--- The Lua that runs these specs.
---@return string
function shell.interpreter()
  local first = 0
  while arg and arg[first - 1] do
    first = first - 1
  end
  return first < 0 and arg[first] or (rawget(_G, "jit") and "luajit" or "lua5.4")
end

return shell
