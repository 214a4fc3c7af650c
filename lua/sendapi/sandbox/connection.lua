-- luacheck: std ngx_lua
--- Requests to connectors from within nginx: nginx's own proxy makes them, behind a socket in the
-- sandbox's directory (see configuration.lua).
local settings = require "sendapi.sandbox.settings"

local connection = {}

local SOCKET = "unix:connector.sock" -- in the directory that nginx was started in
local CONNECT_MILLISECONDS, SEND_MILLISECONDS = 5000, 40000
local READ_MILLISECONDS = 40000 -- more than the proxy waits
local CHUNK = 65536

--- Bytes of the largest answer that is read.
connection.LARGEST = 8388608

local HEAD = "POST / HTTP/1.0\r\nHost: connector\r\nX-Target: %s\r\nX-Target-Host: %s\r\n"
  .. "X-Target-Name: %s\r\nContent-Length: %d\r\n"

---@class sendapi.sandbox.Target
---@field url string as the proxy takes it
---@field authority string for the header Host
---@field name string for TLS
---@field host string
---@field port integer

--- Where requests to a url go; nil when it is no url of a connector. nginx looks names up itself,
-- and knows no "localhost".
---@param url any
---@return sendapi.sandbox.Target|nil
function connection.target(url)
  local parts = settings.url(url)
  if not parts then
    return nil
  end
  local address = parts.host:lower() == "localhost" and "127.0.0.1" or parts.host
  local path = parts.path:find "^/" and parts.path or "/" .. parts.path
  return {
    url = ("%s://%s:%d%s"):format(parts.scheme, address, parts.port, path),
    authority = parts.authority,
    name = parts.host,
    host = address,
    port = parts.port,
  }
end

--- Why a connection does not come about, in the system's words.
local function reason_of_connect(target)
  local socket = ngx.socket.tcp()
  socket:settimeouts(CONNECT_MILLISECONDS, CONNECT_MILLISECONDS, CONNECT_MILLISECONDS)
  local ok, message = socket:connect(target.host:gsub("[%[%]]", ""), target.port)
  if ok then
    socket:close()
    return "The connection was closed"
  end
  return message:sub(1, 1):upper() .. message:sub(2)
end

--- Why nginx has no answer. `times`: what it says of how far it came.
local function reason_of(target, times)
  local status, connected = times:match "^(%S+) (%S+)"
  if status == "504" then
    return "No answer in time"
  elseif not connected or connected == "-" then
    return reason_of_connect(target)
  end
  return "Connection closed without an answer"
end

local function read_head(socket)
  local text, message = socket:receiveuntil "\r\n\r\n"()
  if not text then
    return nil, message
  end
  local headers = {}
  for name, value in text:gmatch "\r\n([^:\r\n]+):[ \t]*([^\r\n]*)" do
    headers[name:lower()] = value
  end
  return tonumber(text:match "^HTTP/%d%.%d (%d%d%d)"), headers
end

local function read_body(socket)
  local parts, bytes = {}, 0
  repeat
    local part, message, rest = socket:receive(CHUNK)
    parts[#parts + 1] = part or rest
    bytes = bytes + #parts[#parts]
    if bytes > connection.LARGEST then
      return nil, ("The answer is larger than %d bytes"):format(connection.LARGEST)
    elseif not part and message ~= "closed" then
      return nil, "No answer in time"
    end
  until not part
  return table.concat(parts)
end

local function read_answer(socket, target)
  local status, headers = read_head(socket)
  if not status then
    return nil, "No answer: " .. tostring(headers)
  elseif headers["x-sandbox-failed"] then
    return nil, reason_of(target, headers["x-sandbox-failed"])
  end
  local body, message = read_body(socket)
  if not body then
    return nil, message
  elseif headers["content-length"] and tonumber(headers["content-length"]) ~= #body then
    return nil, "The answer is not whole"
  end
  return status, body, headers
end

local function head_of(target, body, headers)
  local lines = { HEAD:format(target.url, target.authority, target.name, #body) }
  for name, value in pairs(headers) do
    lines[#lines + 1] = ("%s: %s\r\n"):format(name, (value:gsub("[^ -~]", "")))
  end
  lines[#lines + 1] = "\r\n"
  return table.concat(lines)
end

--- One request by POST, and its answer. Yields.
---@param target sendapi.sandbox.Target
---@param body string
---@param headers table<string, string> of which X-SMCCSDK-SIGNATURE and X-Sandbox-Replay go on
---@return integer|nil status
---@return string body or why there is none
---@return table<string, string>|nil headers in lower case
function connection.post(target, body, headers)
  local socket = ngx.socket.tcp()
  socket:settimeouts(CONNECT_MILLISECONDS, SEND_MILLISECONDS, READ_MILLISECONDS)
  local ok, message = socket:connect(SOCKET)
  if not ok then
    return nil, "The sandbox's proxy: " .. message
  end
  ok, message = socket:send { head_of(target, body, headers), body }
  if not ok then
    socket:close()
    return nil, "The request could not be sent: " .. message
  end
  local status, answer, answer_headers = read_answer(socket, target)
  socket:close()
  return status, answer, answer_headers
end

return connection
