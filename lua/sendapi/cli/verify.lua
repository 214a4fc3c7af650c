--- `sendapi verify`: whether a signature is that of the bytes on the standard input.
local core = require "sendapi.core"
local input = require "sendapi.cli.input"

local M = { name = "verify" }

function M.describe(command)
  command:summary "Say whether a signature is right."
  command:description "Says whether a signature is that of the bytes on the standard input."
  command:argument("signature", "128 hexadecimal digits."):argname "SIGNATURE"
end

function M.run(given)
  local token, message = input.token()
  if not token then
    return 2, message
  end
  local signer = core.signer(token)
  local is_right = signer:verify(input.standard(), given.signature)
  signer:close()
  print(is_right and "right" or "wrong")
  return is_right and 0 or 1
end

return M
