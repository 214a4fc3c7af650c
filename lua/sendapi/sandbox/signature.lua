-- luacheck: std ngx_lua
--- Signatures made by OpenSSL, through LuaJIT's FFI: the client is checked by code that is not its
-- own.
local ffi = require "ffi"

ffi.cdef [[
const void *EVP_sha512(void);
unsigned char *HMAC(const void *digest, const void *key, int key_length,
                    const unsigned char *data, size_t length,
                    unsigned char *result, unsigned int *result_length);
]]

local signature = {}

--- OpenSSL's functions: nginx itself is linked with them, unless it was built in another way.
local function find_openssl()
  for _, name in ipairs { false, "crypto", "libcrypto.so.3", "libcrypto.so.1.1" } do
    local is_loaded, library = pcall(function()
      local candidate = name and ffi.load(name) or ffi.C
      return candidate.HMAC and candidate.EVP_sha512 and candidate
    end)
    if is_loaded then
      return library
    end
  end
  error "OpenSSL's HMAC was not found"
end

local openssl = find_openssl()
local digest_bytes = 64
local digest = ffi.new("unsigned char[?]", digest_bytes)

local hex_pairs = {}
for byte = 0, 255 do
  hex_pairs[byte] = ("%02x"):format(byte)
end

--- Lower-case hex HMAC-SHA512.
---@param token string
---@param body string
---@return string
function signature.sign(token, body)
  openssl.HMAC(openssl.EVP_sha512(), token, #token, body, #body, digest, nil)
  local pairs_of_digest = {}
  for index = 1, digest_bytes do
    pairs_of_digest[index] = hex_pairs[digest[index - 1]]
  end
  return table.concat(pairs_of_digest)
end

--- Whether two texts are the same; takes as long wherever they differ.
---@param one string
---@param other string
---@return boolean
function signature.is_same(one, other)
  local difference = #one == #other and 0 or 1
  for position = 1, math.min(#one, #other) do
    difference = bit.bor(difference, bit.bxor(one:byte(position), other:byte(position)))
  end
  return difference == 0
end

return signature
