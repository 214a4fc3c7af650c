--- Who may ask the sandbox's screen for what. Browsers carry requests of any page they show to this
-- machine: what they say of where a request comes from decides.
--
-- Pure.
local guard = {}

---@class sendapi.sandbox.Guard
---@field private hosts table<string, true>
local Guard = {}
Guard.__index = Guard

--- Whether a name is an address: no page can have another machine's address for its own name.
local function is_address(name)
  return name:find "^%d+%.%d+%.%d+%.%d+$" ~= nil or name:find "^%[[%x:.]+%]$" ~= nil
end

---@param settings { port: integer, host: string|nil, token: string, open: boolean|nil,
---  is_same: fun(one: string, other: string): boolean } `host`: what it listens on besides
--- loopback; `open`: changes need no token
---@return sendapi.sandbox.Guard
function guard.new(settings)
  local names = { "127.0.0.1", "localhost", "[::1]", settings.host }
  local hosts = {}
  for _, name in ipairs(names) do
    hosts[name:lower()] = true
  end
  return setmetatable({
    hosts = hosts,
    port = tostring(settings.port),
    takes_addresses = settings.host == "0.0.0.0" or settings.host == "[::]",
    token = settings.token,
    open = settings.open,
    is_same = settings.is_same,
  }, Guard)
end

local function parts(authority)
  local name, port = authority:match "^(.-):(%d+)$"
  if not name then
    name, port = authority, "80"
  end
  return name:lower(), port
end

function Guard:is_host(authority)
  if type(authority) ~= "string" then
    return false
  end
  local name, port = parts(authority)
  return port == self.port and (self.hosts[name] or (self.takes_addresses and is_address(name)))
    or false
end

--- Why a request is refused; nil: it is not.
---@param request { method: string, host: string|nil, origin: string|nil, token: string|nil }
---@return integer|nil status
---@return string|nil message
function Guard:refusal(request)
  if not self:is_host(request.host) then
    return 403, "This is another host than the sandbox's."
  elseif request.method == "GET" then
    return nil
  elseif request.origin and not self:is_host(request.origin:match "^http://([^/]*)$") then
    return 403, "The request comes from another page."
  elseif self.open then
    return nil
  elseif type(request.token) ~= "string" or not self.is_same(request.token, self.token) then
    return 403, "The header X-Sandbox-Token is missing or wrong."
  end
end

return guard
