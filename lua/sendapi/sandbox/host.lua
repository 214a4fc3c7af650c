--- Starts and stops the sandbox: an nginx of its own, on loopback, in a private directory.
--
-- Plain Lua and the commands of the system. What it starts does not outlive its owner: `stop` ends
-- it; if the owner dies without, the sandbox notices within a second or two, and removes itself.
local cjson = require "cjson"
local certificate = require "sendapi.sandbox.certificate"
local commands = require "sendapi.sandbox.commands"
local configuration = require "sendapi.sandbox.configuration"
local plan = require "sendapi.sandbox.plan"
local shell = require "sendapi.sandbox.shell"

local fill, quote, run = configuration.fill, shell.quote, shell.run

local lowest_port, highest_port = 10240, 32000 -- below the ports that systems give to clients
local most_attempts = 20
local journal_name = "/received.jsonl"
local in_use = "Address already in use"

local known_options = {
  sources = true,
  fault = true,
  faults = true,
  seed = true,
  host = true,
  open = true,
  http = true,
  https = true,
  log = true,
  nginx = true,
}

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

local function read_file(path)
  local file = io.open(path, "rb")
  local content = file and file:read "*a" or ""
  if file then
    file:close()
  end
  return content
end

--- Puts a plan where the sandbox looks for one, whole or not at all.
local function write_plan(directory, given)
  local description = { fault = given.fault, faults = given.faults, seed = given.seed }
  local ok, message = write_file(directory .. "/plan.writing", cjson.encode(description))
  if not ok then
    return nil, message
  end
  return os.rename(directory .. "/plan.writing", directory .. "/plan.changed")
end

--- Cuts off what a killed process has not finished writing.
local function drop_unfinished_line(path)
  local journal = read_file(path)
  local whole = journal:match "^.*\n" or ""
  return whole == journal or write_file(path, whole)
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
  return run(fill(commands.start, values))
end

--- The line in which nginx names a port that the caller asked for, or nil.
local function find_refused_port(output, options)
  for line in output:gmatch "[^\n]+" do
    local port = line:find(in_use, 1, true) and tonumber(line:match "to %S+:(%d+) failed")
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

--- What is wrong with a plan (`sendapi.sandbox.plan`), or with writing it down; nil: nothing.
local function find_plan_problem(given)
  local problem = type(given) ~= "table" and "a fault must be a table" or plan.problem(given)
  if problem then
    return problem
  end
  local ok, message = pcall(cjson.encode, { given.fault, given.faults })
  return not ok and "faults cannot be written as JSON: " .. message or nil
end

--- The plan that `Host:fault` is given, and what is wrong with it, or nil.
local function read_fault(given)
  local description = given or {}
  if type(given) == "table" and given.kind then
    description = { fault = given }
  end
  return description, find_plan_problem(description)
end

--- What is wrong with one of the sources, or nil.
local function find_source_problem(id, source)
  if type(id) ~= "string" or type(source) ~= "table" or type(source.token) ~= "string" then
    return ("source %q must be a table with a token, under its id"):format(tostring(id))
  end
  local problem = plan.problem(source)
  return problem and ("source %q: %s"):format(id, problem) or nil
end

--- What is wrong with where and to whom the screen is shown, or nil.
local function find_screen_problem(options)
  local address = options.host
  if address ~= nil and not (type(address) == "string" and address:find "^[%w.:%[%]%-]+$") then
    return "host must be an address or a name"
  elseif options.open ~= nil and type(options.open) ~= "boolean" then
    return "open must be true or false"
  end
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
  local problem = find_screen_problem(options) or find_plan_problem(options)
  if problem then
    return problem
  end
  local ok, message = pcall(cjson.encode, options.sources)
  return not ok and "sources cannot be written as JSON: " .. message or nil
end

local function make_directory()
  local ok, output = run(commands.make_directory)
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
  for line in read_file(self.directory .. journal_name):gmatch "([^\n]+)\n" do
    entries[#entries + 1] = cjson.decode(line)
  end
  return entries
end

--- Forgets what was received.
---@return true|nil
---@return string|nil message
function Host:clear()
  return write_file(self.directory .. journal_name, "")
end

--- Changes what happens to the requests from now on, of all sources: a fault that each of them
-- meets, or faults by probability; nil: the sources' own again. A wrong one raises an error.
---@param given? table a fault (`sendapi.sandbox.faults`), or `{ faults = {…}, seed = … }`
---@return true|nil
---@return string|nil message
function Host:fault(given)
  local description, problem = read_fault(given)
  if problem then
    error("sandbox: " .. problem, 2)
  end
  return write_plan(self.directory, description)
end

--- Kills nginx as a power cut would, with what is under way; the directory and the ports stay the
-- sandbox's. Nothing listens there when it returns.
function Host:kill()
  if not self.is_stopped then
    run(self.commands.kill)
    self.is_killed = true
  end
end

--- Starts nginx again after `kill`, on the same ports. The journal goes on; what was known of
-- typing, and of the faults that were met, is forgotten.
---@return true|nil
---@return string|nil message
function Host:revive()
  if self.is_stopped or not self.is_killed then
    return nil, "the sandbox was not killed"
  end
  local ok, message = drop_unfinished_line(self.directory .. journal_name)
  for _ = 1, ok and most_attempts or 0 do
    ok, message = run(self.commands.start)
    if ok or not message:find(in_use, 1, true) then
      break
    end
  end
  self.is_killed = not ok
  return ok or nil, not ok and message or nil
end

--- Ends nginx, waiting at most some seconds for it, and removes the directory. May be called again.
function Host:stop()
  if not self.is_stopped then
    self.is_stopped = true
    run(fill(commands.stop, { directory = quote(self.directory) }))
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
  ok, message = write_file(directory .. "/sources.json", cjson.encode(options.sources))
  if not ok then
    return nil, message
  end
  local screen = { host = configuration.in_url(options.host), open = options.open }
  ok, message = write_file(directory .. "/screen.json", cjson.encode(screen))
  if not ok then
    return nil, message
  end
  return write_plan(directory, options)
end

local host = {
  --- The file in a sandbox's directory that holds an Entry a line, as JSON.
  journal_name = journal_name,
  --- What is wrong with the options of `start`, or nil.
  problem = find_problem,
  read_fault = read_fault,
}

---@class sendapi.sandbox.Options
---@field sources table<string, sendapi.sandbox.Source>
---@field fault? table     what every request meets (`sendapi.sandbox.faults`), or
---@field faults? table[]  what some of them meet, each with a probability (`sendapi.sandbox.plan`)
---@field seed? integer    for these: another one means other requests
---@field host? string    an address to listen on for HTTP besides 127.0.0.1, such as "0.0.0.0"
---@field open? boolean   changes through `/_sandbox` need no token: for specs
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
  self.commands = { start = fill(commands.start, values), kill = fill(commands.kill, values) }
  self.http = "http://127.0.0.1:" .. values.http
  self.https = "https://localhost:" .. values.https
  self.https_other_name = "https://localhost:" .. values.https_other_name
  self.ca_file = directory .. "/ca.pem"
  self.log_file = directory .. "/error.log"
  return self
end

return host
