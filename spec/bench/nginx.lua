--- Real nginxes on loopback, each with one worker: one that answers every message with 200 `ok`,
-- and a gateway whose Lua sends to it.
local configuration = require "sendapi.sandbox.configuration"
local shell = require "sendapi.sandbox.shell"

local quote, run = shell.quote, shell.run

local nginx = {}

local lowest_port, highest_port = 10240, 32000 -- below the ports that systems give to clients
local most_attempts = 5

-- `{{name}}` is replaced. Every path is relative to the server's directory.
local template = [[
{{modules}}
{{user}}
worker_processes 1;
pid nginx.pid;
error_log error.log error;
events {
  worker_connections 1024;
}
http {
  access_log off;
  default_type text/plain;
  client_body_temp_path temporary;
  proxy_temp_path temporary;
  fastcgi_temp_path temporary;
  uwsgi_temp_path temporary;
  scgi_temp_path temporary;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  client_max_body_size 0;
  {{http}}
  server {
    listen 127.0.0.1:{{port}};
    {{server}}
  }
}
]]

local answering = {
  modules = "",
  http = "",
  server = [[location /realtime/sdk/ { return 200 "ok"; }]],
}

-- What `server` names, and sources that are slow or never answer.
local gateway = {
  http = [[
  lua_package_path "{{path}}";
  lua_package_cpath "{{cpath}}";
  init_by_lua_block { require("spec.bench.gateway").load("{{url}}") }
  init_worker_by_lua_block { require("spec.bench.gateway").start() }
  ]],
  server = [[
    location = /realtime/sdk/slow { content_by_lua_block { ngx.sleep(0.05) ngx.print("ok") } }
    location = /realtime/sdk/never { content_by_lua_block { ngx.sleep(3600) } }
    location = /realtime/sdk/arriving {
      content_by_lua_block { require("spec.bench.gateway").arrive() }
    }
    location = /arrived { content_by_lua_block { require("spec.bench.gateway").tell_arrivals() } }
    location = /send { content_by_lua_block { require("spec.bench.gateway").send() } }
    location = /by_hand { content_by_lua_block { require("spec.bench.gateway").by_hand() } }
    location = /other { content_by_lua_block { ngx.print("ok") } }
    location = /load { content_by_lua_block { require("spec.bench.gateway").set_load() } }
  ]],
}

-- Ends nginx by its pid file and removes the directory once this program closes the pipe, be it
-- because it is done or because it died. A process that only waits to be collected has ended.
local guard_command = [=[
trap '' HUP INT TERM
cd {{directory}} || exit
is_alive() {
  kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}
read -r _
if [ -s nginx.pid ]; then
  pid=$(cat nginx.pid)
  kill -TERM "$pid"
  tries=0
  while is_alive "$pid" && [ $tries -lt 100 ]; do sleep 0.02; tries=$((tries + 1)); done
fi
rm -rf -- {{directory}}
]=]

-- Its LuaJIT must not be sent to the libraries of another Lua.
local start_command = [[
export PATH="$PATH:/usr/sbin:/usr/local/sbin"; unset LUA_PATH LUA_CPATH
nginx -p {{directory}}/ -c {{directory}}/nginx.conf
]]

local function fill(text, values)
  return (text:gsub("{{([%w_]+)}}", values))
end

local function must_run(command)
  local ok, output = run(command)
  return ok and output or error(output, 0)
end

--- The worker stays under the user who starts it: only root has to say so.
local function user_directive()
  local id, user, group = must_run('echo "$(id -u) $(id -un) $(id -gn)"'):match "(%S+) (%S+) (%S+)"
  return id == "0" and ("user %s %s;"):format(user, group) or ""
end

local function write_configuration(directory, port, values)
  values.port, values.user = port, user_directive()
  local file = assert(io.open(directory .. "/nginx.conf", "w"))
  file:write(fill(template, values))
  file:close()
end

--- Starts nginx on some free port, which is returned. It accepts connections then.
local function start_on_some_port(directory, values)
  local ok, output, port
  for _ = 1, most_attempts do
    port = math.random(lowest_port, highest_port)
    write_configuration(directory, port, values)
    ok, output = run(fill(start_command, { directory = quote(directory) }))
    if ok or not output:find("Address already in use", 1, true) then
      break
    end
  end
  return ok and port or error("nginx did not start: " .. output, 0)
end

--- Starts one and runs a function with its address; it is gone afterwards. An error goes on to the
-- caller.
local function serve(values, run_with)
  local directory = must_run 'umask 077; mktemp -d "${TMPDIR:-/tmp}/sendapi-bench.XXXXXXXX"'
  local guard = assert(io.popen(fill(guard_command, { directory = quote(directory) }), "w"))
  local ok, message = pcall(function()
    local port = start_on_some_port(directory, values)
    run_with(("http://127.0.0.1:%d"):format(port))
  end)
  guard:close()
  if not ok then
    error(message, 0)
  end
end

--- Runs a function with the url of a source whose server answers at once.
---@param run_with fun(url: string)
function nginx.serve(run_with)
  serve(answering, function(address)
    run_with(address .. "/realtime/sdk/source")
  end)
end

--- Runs a function with the address of the gateway (gateway.lua), or nil where nginx has no Lua.
---@param url string of the source that it sends to
---@param build string where LuaJIT's core was built
---@param run_with fun(address: string|nil)
function nginx.serve_gateway(url, build, run_with)
  local found = configuration.gather({}, ".") or { modules = "" }
  if found.modules == "" then
    return run_with(nil)
  end
  local here = must_run "pwd"
  local values = { url = url, path = here .. "/?.lua;" .. found.path .. ";;" }
  values.cpath = ("%s/luajit/?.so;;"):format(build:find "^/" and build or here .. "/" .. build)
  serve({
    modules = found.modules,
    http = fill(gateway.http, values),
    server = gateway.server,
  }, run_with)
end

math.randomseed(os.time())
return nginx
