--- Certificates for one sandbox, made by the `openssl` command.
local shell = require "sendapi.sandbox.shell"

local certificate = {}

-- Everything `openssl` has to know, so that no configuration of the system takes part.
local configuration = [[
[req]
distinguished_name = name
prompt = no
[name]
CN = sendapi sandbox
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign
subjectKeyIdentifier = hash
[localhost]
subjectAltName = DNS:localhost, IP:127.0.0.1, IP:::1
authorityKeyIdentifier = keyid
extendedKeyUsage = serverAuth
[other]
subjectAltName = DNS:other.example
authorityKeyIdentifier = keyid
extendedKeyUsage = serverAuth
]]

-- The authority's key is gone once it has signed: nobody can make a third certificate.
local commands = [[
set -e
umask 077
new_key="-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -config openssl.cnf"
sign() {
  openssl req -new $new_key -subj "/CN=$2" -keyout "$1.key" -out "$1.csr"
  openssl x509 -req -sha256 -days 7 -in "$1.csr" -CA ca.pem -CAkey ca.key -CAcreateserial \
    -extfile openssl.cnf -extensions "$1" -out "$1.pem"
  rm "$1.csr"
}
openssl req -x509 -sha256 -days 7 $new_key -extensions authority -keyout ca.key -out ca.pem
sign localhost localhost
sign other other.example
rm -f ca.key ca.srl openssl.cnf
]]

--- Makes an authority of its own, `ca.pem`, and two certificates signed by it with their keys:
-- `localhost` for localhost, 127.0.0.1 and ::1, and `other` for other.example, as `.pem` and
-- `.key`. All are valid for seven days; only the owner may read them.
---@param directory string where they are written
---@return true|nil
---@return string|nil message what failed, in the words of `openssl`
function certificate.make(directory)
  local path = directory .. "/openssl.cnf"
  local file, message = io.open(path, "w")
  if not file then
    return nil, "the certificates could not be made: " .. message
  end
  file:write(configuration)
  file:close()
  local ok, output = shell.run("cd " .. shell.quote(directory) .. " || exit\n" .. commands)
  if not ok then
    return nil, "the certificates could not be made: " .. output
  end
  return true
end

return certificate
