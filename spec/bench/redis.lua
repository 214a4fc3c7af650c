--- A real redis-server that keeps what it confirms, on a socket in a directory of its own.
local shell = require "sendapi.sandbox.shell"

local quote, run = shell.quote, shell.run

local redis = {}

-- Ends the server and removes the directory once this program closes the pipe, be it because it is
-- done or because it died.
local serve_command = [=[
trap '' HUP INT TERM
cd {{directory}} || exit
redis-server --port 0 --unixsocket {{directory}}/socket --dir {{directory}} --save '' \
  --appendonly yes --appendfsync always >log 2>&1 </dev/null &
pid=$!
read -r _
kill "$pid"
wait "$pid"
rm -rf -- {{directory}}
]=]

local await_command = [=[
tries=0
until [ "$(redis-cli -s {{directory}}/socket ping 2>/dev/null)" = PONG ]; do
  tries=$((tries + 1))
  [ $tries -lt 200 ] || exit 1
  sleep 0.05
done
]=]

--- Runs a function with the path of the server's socket, or with nil where there is no Redis.
---@param run_with fun(socket: string|nil)
function redis.serve(run_with)
  if not run "command -v redis-server redis-cli" then
    return run_with(nil)
  end
  local ok, directory = run 'umask 077; mktemp -d "${TMPDIR:-/tmp}/sendapi-bench.XXXXXXXX"'
  assert(ok, directory)
  local values = { directory = quote(directory) }
  local guard = assert(io.popen((serve_command:gsub("{{([%w_]+)}}", values)), "w"))
  local fine, message = pcall(function()
    assert(run((await_command:gsub("{{([%w_]+)}}", values))), "redis-server did not start")
    run_with(directory .. "/socket")
  end)
  guard:close()
  if not fine then
    error(message, 0)
  end
end

return redis
