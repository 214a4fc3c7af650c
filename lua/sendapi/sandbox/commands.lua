--- What the sandbox's host has the system's shell do. `{{name}}` is replaced by the values of
-- `sendapi.sandbox.configuration`.
local commands = {}

--- Starts nginx, and succeeds when its worker is there. nginx tries for seconds to get a port that
-- is in use: it is ended as soon as it says so.
commands.start = [[
cd {{directory}} || exit
rm -f worker.pid connector.sock
: >start.log # what an attempt before this one said is not this one's
{{environment}} {{nginx}} -p {{directory}}/ -c {{directory}}/nginx.conf >start.log 2>&1 &
starting=$!
until [ -s nginx.pid ]; do
  if grep -q 'Address already in use' start.log; then kill $starting; break; fi
  kill -0 $starting 2>/dev/null || break
  sleep 0.02
done
wait $starting
status=$?
tries=0
while [ $status = 0 ] && [ ! -s worker.pid ] && [ $tries -lt 250 ]; do
  sleep 0.02
  tries=$((tries + 1))
done
cat start.log
exit $status
]]

-- A process is ended only if it is ours: its command line holds the directory.
local find = [=[
pid=$(cat {{directory}}/nginx.pid 2>/dev/null) || exit 0
is_alive() {
  kill -0 "$1" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$1/status" 2>/dev/null
}
is_ours() {
  [ ! -r "/proc/$1/cmdline" ] || tr '\0' ' ' <"/proc/$1/cmdline" | grep -qF -- {{directory}}
}
wait_for_end() {
  tries=0
  while is_alive "$1" && [ $tries -lt 250 ]; do sleep 0.02; tries=$((tries + 1)); done
}
is_alive "$pid" || exit 0
is_ours "$pid" || exit 0
]=]

--- Ends nginx: first with its consent.
commands.stop = find .. [[
kill -TERM "$pid"
wait_for_end "$pid"
if is_alive "$pid"; then kill -KILL "$pid"; fi
]]

--- Kills nginx's master process and the group that it leads, to which its worker belongs. Until
-- nginx is there again somebody has to remove the directory, should the owner die.
commands.kill = find .. [[
worker=$(cat {{directory}}/worker.pid 2>/dev/null)
kill -s KILL -- "-$pid"
wait_for_end "$pid"
[ -z "$worker" ] || wait_for_end "$worker"
rm -f -- {{directory}}/nginx.pid
(
  while is_alive {{owner}}; do
    sleep 1
    [ -d {{directory}} ] && [ ! -s {{directory}}/nginx.pid ] || exit 0
  done
  rm -rf -- {{directory}}
) </dev/null >/dev/null 2>&1 &
]]

--- Makes a directory that only its owner may read, and writes its path.
commands.make_directory = [[
umask 077
directory=$(mktemp -d "${TMPDIR:-/tmp}/sendapi-sandbox.XXXXXXXX") || exit
CDPATH= cd -- "$directory" && pwd
]]

return commands
