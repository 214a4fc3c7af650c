--- Starts and stops the sandbox: an nginx of its own, on loopback, in a private directory.
--
-- Plain Lua and the commands of the system. What it starts does not outlive its owner: `stop` ends
-- it; if the owner dies without, the sandbox notices within a second or two, and removes itself.
local cjson = require "cjson"
local certificate = require "sendapi.sandbox.certificate"
local configuration = require "sendapi.sandbox.configuration"
local faults = require "sendapi.sandbox.faults"
local shell = require "sendapi.sandbox.shell"

local fill, quote, run = configuration.fill, shell.quote, shell.run

local lowest_port, highest_port = 10240, 32000 -- below the ports that systems give to clients
local most_attempts = 20
local in_use = "Address already in use"

local known_options = { sources = true, http = true, https = true, log = true, nginx = true }

-- nginx tries for seconds to get a port that is in use: it is ended as soon as it says so.
local start_command = [[
cd {{directory}} || exit
{{environment}} {{nginx}} -p {{directory}}/ -c {{directory}}/nginx.conf >start.log 2>&1 &
starting=$!
until [ -s nginx.pid ]; do
  if grep -q 'Address already in use' start.log; then kill $starting; break; fi
  kill -0 $starting 2>/dev/null || break
  sleep 0.02
done
wait $starting
status=$?
cat start.log
exit $status
]]

-- The process is ended only if it is ours: its command line holds the directory.
local stop_command = [=[
pid=$(cat {{directory}}/nginx.pid 2>/dev/null) || exit 0
is_alive() {
  kill -0 "$pid" 2>/dev/null && ! grep -q '^State:[[:space:]]*Z' "/proc/$pid/status" 2>/dev/null
}
is_ours() {
  [ ! -r "/proc/$pid/cmdline" ] || tr '\0' ' ' <"/proc/$pid/cmdline" | grep -qF -- {{directory}}
}
is_alive || exit 0
is_ours || exit 0
kill -TERM "$pid"
tries=0
while is_alive && [ $tries -lt 250 ]; do sleep 0.02; tries=$((tries + 1)); done
if is_alive; then kill -KILL "$pid"; fi
]=]

local make_directory_command = [[
umask 077
directory=$(mktemp -d "${TMPDIR:-/tmp}/sendapi-sandbox.XXXXXXXX") || exit
CDPATH= cd -- "$directory" && pwd
]]

local function write_file(path, content)
  local file, message = io.open(path, "wb")
  if not file then
    return nil, message
  end
  local ok
  ok, message = file:write(content)
  if ok then
    ok, message = file:close()
  end
  if not ok then
    return nil, message
  end
  return true
end

--- A port by chance, from the system's own source, so that neither the program's `math.random` is
-- disturbed nor do processes that begin at the same moment choose alike.
local function random_port()
  local file = assert(io.open("/dev/urandom", "rb"))
  file:setvbuf "no"
  local high, low = file:read(2):byte(1, 2)
  file:close()
  return lowest_port + (high * 256 + low) % (highest_port - lowest_port)
end

local function choose_ports(options)
  local chosen = {}
  local function choose()
    local port
    repeat
      port = random_port()
    until not chosen[port]
    chosen[port] = true
    return port
  end
  chosen[options.http or 0], chosen[options.https or 0] = true, true
  return options.http or choose(), options.https or choose(), choose()
end

--- One attempt to start nginx: true; or nil, what it said.
local function start_nginx(directory, values, options)
  values.http, values.https, values.https_other_name = choose_ports(options)
  local ok, message = write_file(directory .. "/nginx.conf", configuration.render(values))
  if not ok then
    return nil, message
  end
  return run(fill(start_command, values))
end

--- The line in which nginx names a port that the caller asked for, or nil.
local function find_refused_port(output, options)
  for line in output:gmatch "[^\n]+" do
    local port = line:find(in_use, 1, true) and tonumber(line:match "127%.0%.0%.1:(%d+)")
    if port and (port == options.http or port == options.https) then
      return line
    end
  end
  return nil
end

local function start_on_some_ports(directory, options)
  local values, message = configuration.gather(options, directory)
  if not values then
    return nil, message
  end
  local ok, output
  for _ = 1, most_attempts do
    ok, output = start_nginx(directory, values, options)
    if ok then
      return values
    elseif not output:find(in_use, 1, true) or find_refused_port(output, options) then
      break
    end
  end
  return nil, "nginx did not start: " .. output
end

--- What is wrong with one of the sources, or nil.
local function find_source_problem(id, source)
  if type(id) ~= "string" or type(source) ~= "table" or type(source.token) ~= "string" then
    return ("source %q must be a table with a token, under its id"):format(tostring(id))
  end
  local problem = source.fault ~= nil and faults.problem(source.fault)
  return problem and ("source %q: %s"):format(id, problem) or nil
end

--- What is wrong with the options, or nil.
local function find_problem(options)
  if type(options) ~= "table" or type(options.sources) ~= "table" then
    return "sources must be a table: id -> { token = … }"
  end
  for name in pairs(options) do
    if not known_options[name] then
      return ("there is no option %q"):format(tostring(name))
    end
  end
  for id, source in pairs(options.sources) do
    local problem = find_source_problem(id, source)
    if problem then
      return problem
    end
  end
  local ok, message = pcall(cjson.encode, options.sources)
  return not ok and "sources cannot be written as JSON: " .. message or nil
end

local function make_directory()
  local ok, output = run(make_directory_command)
  if not ok then
    return nil, "the sandbox's directory could not be made: " .. output
  end
  return output
end

---@class sendapi.sandbox.Entry one received request
---@field source_id string       from the path
---@field signature? string      as it was given
---@field body? string           the exact bytes; absent when over 1 MiB
---@field body_bytes integer     how many they were
---@field at number              epoch seconds
---@field fault? string          the kind of fault it met
---@field status? integer        what the rules decided; absent when a fault was in their place
---@field text? string
---@field action? string         these two when the body held a request
---@field params? table

---@class sendapi.sandbox.Host a running sandbox
---@field http string              its base url, such as "http://127.0.0.1:12345"
---@field https string             the same over TLS, under the name localhost
---@field https_other_name string  the same with a certificate for other.example
---@field ca_file string           the authority that signed both certificates
---@field directory string         everything it writes is in there
---@field log_file string          nginx's error log
local Host = {}
Host.__index = Host

--- What was received since the start or the last `clear`, in the order of arrival. A request stands
-- here before it is answered.
---@return sendapi.sandbox.Entry[]
function Host:received()
  local entries = {}
  local file = io.open(self.directory .. "/received.jsonl", "rb")
  local journal = file and file:read "*a" or ""
  if file then
    file:close()
  end
  for line in journal:gmatch "([^\n]+)\n" do
    entries[#entries + 1] = cjson.decode(line)
  end
  return entries
end

--- Forgets what was received.
---@return true|nil
---@return string|nil message
function Host:clear()
  return write_file(self.directory .. "/received.jsonl", "")
end

--- Ends nginx, waiting at most some seconds for it, and removes the directory. May be called again.
function Host:stop()
  if not self.is_stopped then
    self.is_stopped = true
    run(fill(stop_command, { directory = quote(self.directory) }))
    run("rm -rf -- " .. quote(self.directory))
  end
end

Host.__gc = Host.stop
Host.__close = Host.stop

local function prepare(directory, options)
  local ok, message = certificate.make(directory)
  if not ok then
    return nil, message
  end
  return write_file(directory .. "/sources.json", cjson.encode(options.sources))
end

local host = {}

---@class sendapi.sandbox.Options
---@field sources table<string, sendapi.sandbox.Source>
---@field http? integer   port; a free one by default
---@field https? integer  port; a free one by default
---@field log? string     nginx's log level, by default "error"
---@field nginx? string   nginx's command, by default `openresty` or `nginx`, whichever is found

--- Starts a sandbox; when it returns one, that accepts connections. Wrong options raise an error.
---@param options sendapi.sandbox.Options
---@return sendapi.sandbox.Host|nil
---@return string|nil message what failed, in nginx's own words
function host.start(options)
  local problem = find_problem(options)
  if problem then
    error("sandbox: " .. problem, 2)
  end
  local directory, message = make_directory()
  if not directory then
    return nil, message
  end
  local self = setmetatable({ directory = directory }, Host)
  local values
  values, message = prepare(directory, options)
  if values then
    values, message = start_on_some_ports(directory, options)
  end
  if not values then
    self:stop()
    return nil, message
  end
  self.http = "http://127.0.0.1:" .. values.http
  self.https = "https://localhost:" .. values.https
  self.https_other_name = "https://localhost:" .. values.https_other_name
  self.ca_file = directory .. "/ca.pem"
  self.log_file = directory .. "/error.log"
  return self
end

return host
