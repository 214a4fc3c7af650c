--- The `sendapi` command, run as users run it, with nothing of the environment that it reads.
local shell = require "spec.support.shell"

local command = {}

local clean = "unset SENDAPI_BASE_URL SENDAPI_DOMAIN SENDAPI_OUTBOX SENDAPI_SOURCE SENDAPI_TOKEN; "

--- What a shell runs it by: this Lua, by its name alone, which may stand for one that is prepared.
command.words = shell.quote(shell.interpreter():match "[^/]+$") .. " lua/sendapi/cli/sendapi.lua "

---@param arguments string
---@param environment? string  assignments
---@param input? string        bytes for its standard input
---@return spec.CommandResult
function command.run(arguments, environment, input)
  return shell.run(clean .. (environment or "") .. " " .. command.words .. arguments, input)
end

--- The text of a file that may not be there yet, or nil.
function command.text_of(path)
  local file = io.open(path, "rb")
  local text = file and file:read "*a"
  if file then
    file:close()
  end
  return text
end

--- What has to be so after a refusal: the status, a sentence that begins so, and no traceback.
---@param status integer
---@param text string
---@param result spec.CommandResult
function command.assert_complaint(status, text, result)
  local expected = "sendapi: " .. text
  assert(result.errors:sub(1, #expected) == expected, result.errors)
  assert(not result.errors:find("traceback", 1, true), result.errors)
  assert(result.status == status, "the status is " .. result.status)
  assert(result.output == "", result.output)
end

return command
