--- A connector for any other server: `handle` takes the body and where the signature may be, and
-- gives what to answer. Here for servers that speak SCGI (nginx without Lua, Apache, lighttpd):
--
--   SENDAPI_TOKEN=... lua5.4 any_server.lua /run/connector.sock
--
--   location = /connector {
--     client_max_body_size 21m;
--     include scgi_params;
--     scgi_pass unix:/run/connector.sock;
--   }
local cqueues = require "cqueues"
local socket = require "cqueues.socket"
local connector = require "realtime_only"

--- SCGI: the length of the headers, ":", names and values that end in NULs, ",".
local function read_headers(connection)
  local length, headers = "", {}
  local byte = connection:read(1)
  while byte and byte:find "%d" and #length < 6 do
    length, byte = length .. byte, connection:read(1)
  end
  local text = byte == ":" and connection:read(tonumber(length)) or ""
  for name, value in text:gmatch "(%Z+)%z(%Z*)%z" do
    headers[name] = value
  end
  return connection:read(1) == "," and headers or error "this is not SCGI"
end

local function respond(connection, status, body, headers)
  connection:write(("Status: %d\r\n"):format(status))
  for name, value in pairs(headers) do
    connection:write(name, ": ", value, "\r\n")
  end
  connection:write("\r\n", body)
  connection:flush()
end

local function serve(connection)
  local headers = read_headers(connection)
  if headers.REQUEST_METHOD ~= "POST" then
    return respond(connection, 405, "Method not allowed", { Allow = "POST" })
  end
  local body = connection:read(tonumber(headers.CONTENT_LENGTH) or 0) or ""
  local query = ("&" .. (headers.QUERY_STRING or "")):match "&signature=(%x+)"
  respond(connection, connector:handle(body, headers.HTTP_X_SMCCSDK_SIGNATURE, query))
end

local loop = cqueues.new()
loop:wrap(function()
  for connection in socket.listen({ path = arg[1], unlink = true }):clients() do
    loop:wrap(function()
      connection:setmode("b", "bf")
      connection:settimeout(30)
      local done, message = pcall(serve, connection)
      if not done then
        io.stderr:write(tostring(message), "\n")
      end
      connection:close()
    end)
  end
end)
assert(loop:loop())
