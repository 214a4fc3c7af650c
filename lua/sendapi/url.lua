--- Where a source's requests go (the protocol, section 1).
local M = {}

local LOOPBACK = { ["localhost"] = true, ["[::1]"] = true }

local function is_loopback(host)
  return LOOPBACK[host] or host:match "^127%.%d+%.%d+%.%d+$" ~= nil
end

--- `acme`, or a whole host with a dot, perhaps with a port.
local function of_domain(domain)
  if not domain:match "^[%w%-%.]+:?%d*$" then
    return nil, ("option 'domain': '%s' is not a host name"):format(domain)
  end
  if domain:find(".", 1, true) then
    return "https://" .. domain
  end
  return "https://" .. domain .. ".engagement.dimelo.com"
end

local function check_base(base, insecure_http)
  local scheme, host = base:match "^(%a+)://([^/?#@%s%c]+)[^?#%s%c]*$"
  scheme = scheme and scheme:lower()
  if scheme ~= "http" and scheme ~= "https" then
    return nil, "option 'base_url': expected something like https://acme.engagement.dimelo.com"
  end
  local name = host:match "^(%[[%x:.]+%])" or host:match "^([^:]+)"
  if scheme == "http" and not insecure_http and not is_loopback(name) then
    return nil, "option 'base_url': http is for this machine only; use https, or insecure_http"
  end
  return (base:gsub("/+$", ""))
end

local function escape(text)
  return (text:gsub("[^%w%-_%.~]", function(char)
    return ("%%%02X"):format(char:byte())
  end))
end

--- The whole url of a source.
---@param options table resolved options: base_url, domain, insecure_http
---@param source_id string
---@return string|nil url
---@return string|nil message
function M.of_source(options, source_id)
  local base, message
  if options.base_url then
    base, message = check_base(options.base_url, options.insecure_http)
  elseif options.domain then
    base, message = of_domain(options.domain)
  else
    message = "no server: give the option domain or base_url, "
      .. "or set SENDAPI_DOMAIN or SENDAPI_BASE_URL"
  end
  if not base then
    return nil, message
  end
  return base .. "/realtime/sdk/" .. escape(source_id)
end

return M
