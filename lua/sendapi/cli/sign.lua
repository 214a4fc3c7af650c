--- `sendapi sign`: the signature of the bytes on the standard input.
local core = require "sendapi.core"
local input = require "sendapi.cli.input"

local M = { name = "sign" }

function M.describe(command)
  command:summary "Write the signature of a body."
  command:description "Writes the signature of the bytes on the standard input."
end

function M.run()
  local token, message = input.token()
  if not token then
    return 2, message
  end
  local signer = core.signer(token)
  print(signer:sign(input.standard()))
  signer:close()
  return 0
end

return M
