--- A real nginx with one worker on loopback that answers every message with 200 `ok`.
local shell = require "sendapi.sandbox.shell"

local quote, run = shell.quote, shell.run

local nginx = {}

local lowest_port, highest_port = 10240, 32000 -- below the ports that systems give to clients
local most_attempts = 5

-- `{{name}}` is replaced. Every path is relative to the server's directory.
local configuration = [[
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
  server {
    listen 127.0.0.1:{{port}};
    location /realtime/sdk/ {
      return 200 "ok";
    }
  }
}
]]

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

local start_command = [[
PATH="$PATH:/usr/sbin:/usr/local/sbin" nginx -p {{directory}}/ -c {{directory}}/nginx.conf
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

local function write_configuration(directory, port, user)
  local file = assert(io.open(directory .. "/nginx.conf", "w"))
  file:write(fill(configuration, { port = port, user = user }))
  file:close()
end

--- Starts nginx on some free port, which is returned. It accepts connections then.
local function start_on_some_port(directory)
  local user = user_directive()
  local ok, output, port
  math.randomseed(os.time())
  for _ = 1, most_attempts do
    port = math.random(lowest_port, highest_port)
    write_configuration(directory, port, user)
    ok, output = run(fill(start_command, { directory = quote(directory) }))
    if ok or not output:find("Address already in use", 1, true) then
      break
    end
  end
  return ok and port or error("nginx did not start: " .. output, 0)
end

--- Runs a function with the url of a source of the server, which is gone afterwards. An error goes
-- on to the caller.
---@param run_with fun(url: string)
function nginx.serve(run_with)
  local directory = must_run 'umask 077; mktemp -d "${TMPDIR:-/tmp}/sendapi-bench.XXXXXXXX"'
  local guard = assert(io.popen(fill(guard_command, { directory = quote(directory) }), "w"))
  local ok, message = pcall(function()
    local port = start_on_some_port(directory)
    run_with(("http://127.0.0.1:%d/realtime/sdk/source"):format(port))
  end)
  guard:close()
  if not ok then
    error(message, 0)
  end
end

return nginx
