--- Where a source's requests go.
local M = {}

local LOOPBACK = { ["localhost"] = true, ["[::1]"] = true }

local function is_loopback(host)
  return LOOPBACK[host] or host:match "^127%.%d+%.%d+%.%d+$" ~= nil
end

--- Letters, digits and hyphens between single dots.
local function is_name(host)
  return host:match "^[%w%-%.]+$" ~= nil
    and not host:find("..", 1, true)
    and not host:find "^%."
    and host ~= ""
end

--- An address of IPv6 in its brackets, perhaps with a zone.
local function is_bracketed(host)
  return host:match "^%[[%x:%.]+%]$" ~= nil and host:find(":", 1, true) ~= nil
    or host:match "^%[[%x:%.]+%%25[%w%-%._~]+%]$" ~= nil
end

--- Parts host and port; nil when it is neither `host` nor `host:port`.
local function split(authority)
  local host, port = authority:match "^(%[[^%]]*%])(.*)$"
  if not host then
    host, port = authority:match "^([^:]*)(.*)$"
  end
  local fine = (is_name(host) or is_bracketed(host)) and (port == "" or port:match "^:%d+$")
  return fine and host or nil
end

--- `acme`, or a whole host with a dot, perhaps with a port.
local function of_domain(domain)
  local host = split(domain)
  if host and is_name(host) and host:find(".", 1, true) then
    return "https://" .. domain
  elseif host and host == domain and not is_bracketed(host) then
    return "https://" .. domain .. ".engagement.dimelo.com"
  end
  return nil, "option 'domain': expected a name, or a whole host such as acme.example.com"
end

local function check_base(base, insecure_http)
  local scheme, authority, path = base:match "^(%a+)://([^/]+)(.*)$"
  local host = scheme and split(authority)
  scheme = scheme and scheme:lower()
  if not host or (scheme ~= "http" and scheme ~= "https") or path:find "[?#\\%s%c%z]" then
    return nil, "option 'base_url': expected something like https://acme.engagement.dimelo.com"
  end
  if scheme == "http" and not insecure_http and not is_loopback(host:lower()) then
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
  elseif source_id == "." or source_id == ".." then
    return nil, "source_id: a path takes that for itself"
  end
  return base .. "/realtime/sdk/" .. escape(source_id)
end

return M
