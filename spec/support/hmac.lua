--- Many signatures made by the `openssl` command, for keys and bodies of any bytes.
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local hmac = {}

local function to_hex(bytes)
  return (bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

--- Lower-case hex HMAC-SHA512 of each body.
---@param key string at least a byte
---@param bodies string[]
---@return string[]
function hmac.sign_all(key, bodies)
  local directory = temporary.directory()
  local command = { "openssl dgst -sha512 -r -mac HMAC -macopt hexkey:" .. to_hex(key) }
  for i, body in ipairs(bodies) do
    command[i + 1] = shell.quote(directory:write("body" .. i, body))
  end
  local result = shell.run(table.concat(command, " "))
  directory:remove()
  assert(result.status == 0, result.errors)
  local signatures = {}
  for hex in result.output:gmatch "(%x+) %*[^\n]*\n" do
    signatures[#signatures + 1] = hex
  end
  assert(#signatures == #bodies, result.output)
  return signatures
end

return hmac
