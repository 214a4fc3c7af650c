--- Signatures made by something that is not this library.
local shell = require "spec.support.shell"

local openssl = {}

local known = {}

--- Lower-case hex HMAC-SHA512, by the `openssl` command.
---@param token string
---@param body string
---@return string
function openssl.sign(token, body)
  local key = token .. "\0" .. body
  if not known[key] then
    local command = "openssl dgst -sha512 -r -hmac " .. shell.quote(token)
    known[key] = assert(shell.run(command, body).output:match "^(%x+)")
  end
  return known[key]
end

return openssl
