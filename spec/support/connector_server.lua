--- The connectors of `spec.support.connectors`, served by an nginx.
local nginx = require "spec.support.nginx"
local shell = require "spec.support.shell"

local M = {}

local http = [[
  init_by_lua_block { package.path = "{{root}}/?.lua;" .. package.path }
  client_body_buffer_size 4m;
  client_max_body_size 20m;
]]

local server = [[
  listen 127.0.0.1:{{port}};
  location = /elsewhere {
    return 404;
  }
  location /connector/ {
    content_by_lua_block { require("spec.support.connectors").serve() }
  }
]]

--- Starts it on a free port, after as many tries as it takes.
---@return spec.Nginx
---@return string url of the folder in which each connector stands under its name
function M.start()
  local root = shell.run("pwd").output:gsub("%s+$", "")
  for _ = 1, 20 do
    local port = math.random(10240, 32000)
    local fine, started = pcall(nginx.start, {
      http = http,
      server = server,
      root = root,
      port = tostring(port),
    })
    if fine then
      return started, ("http://127.0.0.1:%d/connector/"):format(port)
    elseif not started:find "Address already in use" then
      error(started, 0)
    end
  end
  error "no port is free"
end

return M
