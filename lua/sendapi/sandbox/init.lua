--- A sandbox of Engage Digital for a program's own specs.
--
--     local sandbox = sendapi.sandbox {}
--     assert(sandbox:start())
--     local client = sandbox:client()
--     … what is to be tried sends with it …
--     local entries = assert(sandbox:wait_for { thread = "42" })
--     sandbox:stop()
--
-- It blocks where it waits, as specs do. It needs nginx with its Lua module, and openssl.
local client = require "sendapi.client"
local core = require "sendapi.core"
local host = require "sendapi.sandbox.host"
local journal = require "sendapi.sandbox.journal"
local options_list = require "sendapi.options"
local options_of = require "sendapi.sandbox.options"

local M = {}

---@class sendapi.SandboxSource
---@field token string|nil       the access token; one by chance
---@field options string[]|nil   as in `implementation.info`; what structured contents need
---@field name string|nil        shown on the page
---@field actions string[]|nil   of the Send API, that it implements; all of them
---@field connector string|nil   url that agents' replies go to and contents are listed from
---@field interval number|nil    seconds between two synchronisations with it; 0: none
---@field fault table|nil        these three as below, for this source alone
---@field faults table[]|nil
---@field seed integer|nil

--- Beside these, what SandboxSource has but the faults is for the only source of one without
--- `sources`.
---@class sendapi.SandboxOptions: sendapi.SandboxSource
---@field sources table<string, sendapi.SandboxSource>|nil by id
---@field id string|nil          of the only source; one by chance
---@field port integer|nil       0, or none: a free one
---@field https_port integer|nil the same for HTTPS
---@field host string|nil        address to listen at, 127.0.0.1
---@field open boolean|nil       let everybody change it by HTTP, without a token
---@field fault table|nil        what every request meets (`sendapi.sandbox.faults`), or
---@field faults table[]|nil     what some of them meet, each with a `probability`
---@field seed integer|nil       for these: another one means other requests
---@field log string|nil         nginx's log level, "error"
---@field nginx string|nil       nginx's command; `openresty` or `nginx`, whichever is found

---@class sendapi.Sandbox
---@field url string|nil         of the agent's screen; this and what follows while it runs
---@field base_url string|nil    for `sendapi.client` and for what speaks HTTP
---@field https_url string|nil   the same over TLS, whose authority is in
---@field ca_file string|nil
---@field screen_token string|nil what changes through `/_sandbox` give as X-Sandbox-Token
---@field source_id string       of the only source, or of the first one by name
---@field token string           its access token
---@field sources table<string, sendapi.SandboxSource> all of them, complete
local Sandbox = {}
Sandbox.__index = Sandbox
Sandbox.__name = "sendapi.Sandbox"

-- What a sandbox keeps to itself: its settings, and its host while it runs.
local private = setmetatable({}, { __mode = "k" })

local function first_id(sources)
  local first
  for id in pairs(sources) do
    first = (not first or id < first) and id or first
  end
  return first
end

--- A sandbox that is not started yet. Raises at the caller's line when an option is wrong.
---@param options sendapi.SandboxOptions|nil
---@param level integer|nil whose line: as for `error`, 2
---@return sendapi.Sandbox
function M.new(options, level)
  local settings, problem = options_of.read(options == nil and {} or options)
  if not settings then
    error("sendapi.sandbox: " .. problem, level or 2)
  end
  local id = first_id(settings.sources)
  local self = { sources = settings.sources, source_id = id, token = settings.sources[id].token }
  private[self] = { settings = settings }
  return setmetatable(self, Sandbox)
end

local function state_of(self, method, level)
  local state = self ~= nil and private[self]
  if not state then
    error(("call it with a colon: sandbox:%s(...)"):format(method), level or 3)
  end
  return state
end

local function host_of(self, method)
  local state = state_of(self, method, 4)
  if not state.host then
    error(("sandbox:%s: it does not run; start() starts it"):format(method), 3)
  end
  return state.host
end

--- nginx's words for a port that cannot be had, in plain ones.
local function plain(message)
  local port, reason = message:match "bind%(%) to %S-:(%d+) failed %(%d+: ([^)]+)%)"
  if not port then
    return message
  elseif reason == "Address already in use" then
    return ("port %s is taken"):format(port)
  end
  return ("port %s cannot be had: %s"):format(port, reason)
end

local function read_line(path)
  local file = io.open(path)
  local line = file and file:read "*l"
  if file then
    file:close()
  end
  return line or ""
end

--- Starts it; when this returns, it accepts connections.
---@return true|nil
---@return string|nil message what failed
function Sandbox:start()
  local state = state_of(self, "start")
  if state.host then
    return nil, "the sandbox runs already"
  end
  local running, message = host.start(state.settings)
  if not running then
    return nil, plain(message)
  end
  state.host = running
  self.base_url, self.https_url = running.http, running.https
  self.url, self.ca_file = running.http .. "/", running.ca_file
  self.screen_token = read_line(running.directory .. "/token")
  return true
end

--- Whether it runs. It may also have been ended by others.
---@return boolean
function Sandbox:is_running()
  local running = state_of(self, "is_running").host
  local file = running and io.open(running.directory .. "/nginx.pid")
  if file then
    file:close()
  end
  return file ~= nil
end

--- A client of one of its sources.
---@param options sendapi.ClientOptions|nil go before the sandbox's own
---@param source_id string|nil which source; the sandbox's `source_id`
---@return sendapi.Client
function Sandbox:client(options, source_id)
  host_of(self, "client")
  local id = source_id or self.source_id
  local source = self.sources[id]
  if not source then
    error(("sandbox:client: there is no source '%s'"):format(options_list.printable(id)), 2)
  end
  local merged = { base_url = self.base_url, source_options = source.options }
  for name, value in pairs(options or {}) do
    merged[name] = value
  end
  local made, message = client.make(id, source.token, merged)
  if not made then
    error("sandbox:client: " .. message, 2)
  end
  return made
end

-- Name -> type, and what a number must be.
local WANTED = { thread = "string", action = "string", source = "string", count = 1, seconds = 0 }
local WANTED_NAMES = { "action", "count", "seconds", "source", "thread" }

local function problem_of_wanted(name, value)
  local expected = WANTED[name]
  if not expected then
    local near = options_list.suggestion(name, WANTED_NAMES)
    return ("there is no '%s'%s"):format(options_list.printable(name), near)
  elseif type(expected) == "number" then
    local is_fine = type(value) == "number" and value >= expected and value < 1e6
    return not is_fine and ("%s: expected a number from %d on"):format(name, expected) or nil
  elseif type(value) ~= expected and not (name == "thread" and type(value) == "number") then
    return ("%s: expected a %s, got a %s"):format(name, expected, type(value))
  end
end

--- Waits until requests were received and accepted; those since the start, or the last `clear`,
-- count.
---@param wanted sendapi.sandbox.Wanted
---@return sendapi.sandbox.Entry[]|nil entries all that are wanted so far, in the order of arrival
---@return string|nil message what came instead
function Sandbox:wait_for(wanted)
  local running = host_of(self, "wait_for")
  if type(wanted) ~= "table" then
    error(("sandbox:wait_for: expected a table, got a %s"):format(type(wanted)), 2)
  end
  for name, value in pairs(wanted) do
    local problem = problem_of_wanted(name, value)
    if problem then
      error("sandbox:wait_for: " .. problem, 2)
    end
  end
  return journal.open(running.directory .. host.journal_name):wait_for(wanted)
end

--- What was received since the start or the last `clear`, refused or not, in the order of arrival.
---@return sendapi.sandbox.Entry[]
function Sandbox:received()
  return host_of(self, "received"):received()
end

--- Forgets what was received, on the agent's screen, too.
---@return true|nil
---@return string|nil message
function Sandbox:clear()
  host_of(self, "clear")
  local answer, message = core.exchange {
    url = self.base_url .. "/_sandbox",
    method = "DELETE",
    headers = { "X-Sandbox-Token: " .. self.screen_token },
  }
  if not answer then
    return nil, message
  elseif answer.status ~= 200 then
    return nil, ("status %d: %s"):format(answer.status, answer.body)
  end
  return true
end

--- Changes what happens to the requests from now on, of all sources. A wrong one raises an error.
---@param given table|nil a fault (`sendapi.sandbox.faults`), or `{ faults = {…}, seed = … }`; none:
--- what it was started with is no more
---@return true|nil
---@return string|nil message
function Sandbox:fault(given)
  local running = host_of(self, "fault")
  local _, problem = host.read_fault(given)
  if problem then
    error("sandbox:fault: " .. problem, 2)
  end
  return running:fault(given)
end

--- Ends it, and removes what it has written. May be called again, and `start` after it.
function Sandbox:stop()
  local state = state_of(self, "stop")
  if state.host then
    state.host:stop()
    state.host, self.url, self.base_url, self.https_url = nil, nil, nil, nil
    self.ca_file, self.screen_token = nil, nil
  end
end

Sandbox.__close = Sandbox.stop

function Sandbox:__tostring()
  return ("%s: %s"):format(Sandbox.__name, self.url or "not running")
end

return M
