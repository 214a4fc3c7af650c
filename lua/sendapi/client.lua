--- A client of one source: the actions, bound to the engine.
local actions = require "sendapi.actions"
local call = require "sendapi.call"
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local errors = require "sendapi.error"
local log = require "sendapi.log"
local options = require "sendapi.options"
local outbox = require "sendapi.outbox"
local queue = require "sendapi.queue"
local runtime = require "sendapi.runtime"
local typing = require "sendapi.typing"
local url = require "sendapi.url"
local version = require "sendapi.version"

local M = {}

-- What a client keeps to itself, by client: nothing of it is reachable from the outside, so that no
-- dump of a client shows the signer.
local private = setmetatable({}, { __mode = "k" })

-- The states of all clients there are, for `sendapi.prometheus`.
local states = setmetatable({}, { __mode = "k" })

local USER_AGENT = ("sendapi/%s (%s) libcurl/%s"):format(version, _VERSION, core.libcurl)
local CANCELLED = 2 -- seconds within which cancelled requests come back

---@class sendapi.Client
---@field messages sendapi.Messages
---@field private_messages sendapi.PrivateMessages
---@field threads sendapi.Threads
---@field users sendapi.Users
---@field status sendapi.StatusActions
---@field typing sendapi.TypingActions
local Client = {}

--- The client's state; of what is no client there is none: the method was called with a dot.
local function state_of(self, method)
  local state = self ~= nil and private[self]
  if not state then
    error(("call it with a colon: client:%s(...)"):format(method), 3)
  end
  return state
end

Client.__name = "sendapi.Client"

local function find_action(name)
  local action, message = call.find_action(name)
  if not action then
    error(message, 3)
  end
  return action
end

--- Makes a call for a public method, and raises at that method's caller what is misuse.
local function run(state, action, params, given, callback)
  local message
  given, callback, message = call.arguments(given, callback)
  if message then
    error(message, 3)
  end
  local ok, err, misuse = call.run(state, action, params, given, callback)
  if misuse then
    error(misuse, 3)
  end
  return ok, err
end

--- Sends an action by its name: the same as the method of that name.
--
-- Without a function it waits for the outcome. With one it returns at once: `true` when the request
-- was accepted, which then ends in exactly one call of the function, from `poll` or from the host's
-- event loop; `nil, err` when it was not, and the function is not called.
---@param name string `"messages.create"`
---@param params table what the action takes (types.lua)
---@param given sendapi.CallOptions|nil
---@param callback fun(ok: true|nil, err: sendapi.Error|nil)|nil
---@return true|nil delivered
---@return sendapi.Error|nil err
function Client:send(name, params, given, callback)
  local state = state_of(self, "send")
  local action = find_action(name)
  local ok, err = run(state, action, params, given, callback)
  return ok, err
end

--- Checks without sending, by this client's options: see `sendapi.validate`.
---@param name string
---@param params table
---@return true|nil valid
---@return sendapi.Problem[] problems
function Client:validate(name, params)
  local state = state_of(self, "validate")
  local action = find_action(name)
  return M.check(action, params, state.options)
end

---@class sendapi.PollLimits
---@field max integer?    callbacks at most, 32
---@field seconds number? time at most, 0.001; what is running is not interrupted

--- Runs the callbacks that are due, and resumes what waits in the tick runtime. Never waits.
---@param limits sendapi.PollLimits|nil
---@return integer run how many
function Client:poll(limits)
  local state = state_of(self, "poll")
  local most = limits and limits.max or 32
  local seconds = limits and limits.seconds or 0.001
  return M.poll(state, most, seconds)
end

--- Waits until nothing is under way, and runs callbacks meanwhile.
---@param seconds number|nil at most; nil: as long as it takes, which every call's deadline bounds
---@return true|nil
---@return sendapi.Error|nil err with the code `timeout`, and `pending`: how many are left
function Client:flush(seconds)
  return M.flush(state_of(self, "flush"), seconds)
end

--- What became of the client's calls. At every moment
-- accepted = delivered + stored + refused + failed + pending, and in its `outbox`
-- accepted = delivered + discarded + dead + pending (types.lua).
---@return sendapi.Stats
function Client:stats()
  local state = state_of(self, "stats")
  engine.forsake_parent()
  return state.endpoint:stats()
end

--- The client's outbox (the option `outbox`): what is pending there, and the dead letters.
---@return sendapi.Outbox
function Client:outbox()
  local state = state_of(self, "outbox")
  if not state.options.outbox then
    error("this client has no outbox: see the option 'outbox'", 2)
  end
  return outbox.of(state)
end

--- Closes the client: waits for what is under way, then ends the rest with `closed`. Its token is
-- wiped from memory, and calls return `closed`. Twice is harmless.
---@param seconds number|nil to wait at most; the option `close_timeout` unless given
---@return true
function Client:close(seconds)
  return M.close(state_of(self, "close"), seconds)
end

--- For an event loop (the contract of cqueues): the descriptor that is readable when `poll` has
-- something to do, the events to watch it for, and the seconds to wait at most.
---@return integer
function Client.pollfd()
  return assert(engine.get():fileno())
end

---@return "r"
function Client.events()
  return "r"
end

---@return number|nil
function Client:timeout()
  local has_work = not queue.is_empty(state_of(self, "timeout").due) or engine.has_answers()
  return has_work and 0 or nil
end

function Client:__tostring()
  return ("%s: %s"):format(Client.__name, private[self].source_id)
end

--- At the end of a `local client <close>`; Lua's second argument is an error, not seconds.
function Client:__close()
  M.close(private[self])
end

local client_names = {}
for name in pairs(Client) do
  client_names[#client_names + 1] = not name:find "^__" and name or nil
end
for _, action in ipairs(actions) do
  client_names[#client_names + 1] = action.resource
end

--- A name that is not there is a typing error: say so where it stands.
function Client.__index(_, name)
  local method = Client[name]
  if method == nil then
    error(
      ("a client has no '%s'%s"):format(
        options.printable(name),
        options.suggestion(name, client_names)
      ),
      2
    )
  end
  return method
end

--- Whether a callback of the client's poll runs now. One that waits in another coroutine, perhaps
-- for ever, keeps nobody from polling.
local function is_polling(state)
  local polling = state.polling
  if type(polling) ~= "thread" then
    return polling
  end
  local status = coroutine.status(polling)
  return status == "running" or status == "normal"
end

local function advance(state, most, seconds)
  state.polling = coroutine.running() or true
  local start, count = core.now(), 0
  local done, run_one
  repeat
    done, run_one = engine.advance(state)
    count = count + (run_one and 1 or 0)
  until not done or count >= most or core.now() - start >= seconds
  state.polling = nil
  if done then
    engine.get():remind() -- a loop that watches the descriptor is to poll once more
  end
  return count
end

--- Runs what is due, within bounds. A callback that polls runs nothing. Protected, because a hook
-- (Ctrl-C) may raise anywhere.
function M.poll(state, most, seconds)
  if is_polling(state) then
    return 0
  end
  engine.forsake_parent()
  engine.get():calm()
  local fine, count = pcall(advance, state, most, seconds)
  if not fine then
    state.polling = nil
    error(count, 0)
  end
  if state.sleepers then
    require("sendapi.runtime.tick").wake_sleepers(state)
  end
  return count
end

local function run_due(state)
  engine.collect()
  while engine.run_one(state) do -- luacheck: ignore
  end
end

function M.flush(state, seconds)
  engine.forsake_parent()
  local host = runtime.choose(state.options.runtime)
  local deadline = core.now() + (seconds or math.huge)
  while true do
    if not (host.is_polled and host.is_polled()) then
      run_due(state)
    end
    local left = deadline - core.now()
    local pending = engine.pending(state)
    if pending == 0 then
      return true
    end
    if left <= 0 or not host.pause(left, state) then
      local err = errors.new({
        code = "timeout",
        message = ("%d requests are still under way"):format(pending),
      }, "flush")
      err.pending = pending
      return nil, err
    end
  end
end

--- Closes once: a further call while that goes on returns at once, but for the last one, of a state
-- that is collected while the coroutine that closes it sleeps for ever.
function M.close(state, seconds, is_last)
  if state.finished or (state.closed and not is_last) then
    return true
  end
  state.closed = true
  local deadline = core.now() + (seconds or state.options.close_timeout)
  local done = M.flush(state, deadline - core.now())
  if done and state.options.outbox then
    outbox.leave(state)
    done = M.flush(state, deadline - core.now())
  end
  if not done then
    state.cancelled = true -- what fails from here on is not sent again
    state.endpoint:cancel()
    M.flush(state, CANCELLED)
  end
  state.finished = true -- not before: a coroutine that closes may never be resumed
  state.signer:close()
  state.endpoint:close()
  return true
end

--- The object behind `client.messages` and its kind: a method for each of its operations.
local function new_resource(state, name)
  local methods, names = {}, {}
  local resource = {}
  for _, action in ipairs(actions) do
    if action.resource == name then
      names[#names + 1] = action.operation
      methods[action.operation] = function(self, params, given, callback)
        if self ~= resource then
          error(("call it with a colon: client.%s:%s{...}"):format(name, action.operation), 2)
        end
        local ok, err = run(state, action, params, given, callback)
        return ok, err
      end
    end
  end
  return setmetatable(resource, {
    __name = "sendapi." .. name,
    __index = function(_, operation)
      if methods[operation] == nil then
        local near = options.suggestion(operation, names)
        error(("client.%s has no '%s'%s"):format(name, options.printable(operation), near), 2)
      end
      return methods[operation]
    end,
  })
end

--- What the core needs to know of a client's options.
local function open_endpoint(source_id, resolved, source_url, store)
  local retry = resolved.retry
  local asks = type(retry) == "function"
  return engine.get():open {
    store = store.driver,
    outbox = resolved.outbox,
    source = source_id,
    signer = store.driver and store.signer,
    is_process_only = resolved.durability == "process",
    tag = store.tag,
    url = source_url,
    user_agent = USER_AGENT,
    ca_file = resolved.ca_file,
    proxy = resolved.proxy,
    timeout = resolved.timeout,
    connect_timeout = resolved.connect_timeout,
    connections = resolved.connections,
    max_pending = resolved.max_pending,
    max_pending_bytes = resolved.max_pending_bytes,
    http2 = resolved.http2,
    asks = asks,
    attempts = asks and 1 or retry.attempts,
    first = not asks and retry.first or 0,
    longest = not asks and retry.longest or 0,
  }
end

local function check_readable(path)
  local file, message = io.open(path, "rb")
  if not file then
    return "option 'ca_file': " .. message
  end
  local _
  _, message = file:read(1) -- a directory opens, but cannot be read
  file:close()
  return message and ("option 'ca_file': %s: %s"):format(path, message)
end

--- What is wrong with the arguments of `new`, or the options resolved, the url, and the outbox's
-- driver.
local function prepare(source_id, token, given)
  if type(source_id) ~= "string" or source_id == "" then
    return nil, ("source_id: expected a string that is not empty, got %s"):format(
      source_id == "" and "an empty one" or "a " .. type(source_id)
    )
  end
  if type(token) ~= "string" or token == "" then
    return nil, "token: expected the source's access token, a string that is not empty"
  end
  local resolved, message = options.resolve(given)
  if not resolved then
    return nil, message
  end
  message = resolved.ca_file and check_readable(resolved.ca_file)
  if message then
    return nil, message
  end
  local driver
  if resolved.outbox then
    driver, message = outbox.driver(resolved.outbox)
    if not driver then
      return nil, message
    end
  end
  local source_url
  source_url, message = url.of_source(resolved, source_id)
  return source_url and resolved, message or source_url, driver
end

--- A state that nothing refers to any more has nothing under way, unless Lua itself ends: then it
-- is given the time that the option `close_timeout` says.
local function close_when_collected(state)
  local function close()
    states[state] = nil
    state.ended = rawget(_G, "ngx") ~= nil -- whose requests are gone: nothing of theirs may run
    state.options.runtime = "blocking"
    M.close(state, nil, true)
  end
  local newproxy = rawget(_G, "newproxy")
  if newproxy then -- Lua 5.1 and LuaJIT have no __gc for tables
    state.sentinel = newproxy(true)
    getmetatable(state.sentinel).__gc = close
    return state
  end
  return setmetatable(state, { __gc = close })
end

--- The signer and the endpoint come first, so that they are finalized last.
local function new_state(source_id, token, resolved, source_url, driver)
  local tag, signer = engine.new_tag(), core.signer(token)
  local store = { driver = driver, signer = signer, tag = tag }
  local state = close_when_collected {
    source_id = source_id,
    options = resolved,
    log = log.guarded(resolved.log),
    operations = {},
    typing = typing.new(),
    due = queue.new(),
    notices = queue.new(),
    hear = outbox.hear,
    signer = signer,
    endpoint = open_endpoint(source_id, resolved, source_url, store),
  }
  engine.set_tag(state, tag)
  if driver then
    outbox.begin(state)
  end
  states[state] = true
  return state
end

--- Makes a client; or says what is wrong with the arguments.
---@param source_id any
---@param token any
---@param given any
---@return sendapi.Client|nil
---@return string|nil message
function M.make(source_id, token, given)
  local resolved, answer, driver = prepare(source_id, token, given)
  if not resolved then
    return nil, answer
  end
  local self = {}
  private[self] = new_state(source_id, token, resolved, answer, driver)
  for _, action in ipairs(actions) do
    if not self[action.resource] then
      self[action.resource] = new_resource(private[self], action.resource)
    end
  end
  return setmetatable(self, Client)
end

--- Makes a client of a source. Raises at the caller's line when an argument is wrong; opens no
-- connection and starts no thread: the first call does.
---@param source_id string the source's id in Engage Digital
---@param token string the source's access token, which signs what is sent; kept only as a key
---@param given sendapi.ClientOptions|nil
---@return sendapi.Client
function M.new(source_id, token, given)
  local self, message = M.make(source_id, token, given)
  if not self then
    error("sendapi.client: " .. message, 2)
  end
  return self
end

--- Checks params against an action: all problems at once, warnings among them.
---@param action sendapi.Action
---@param params any
---@param resolved table resolved options
---@return true|nil valid
---@return sendapi.Problem[] problems
function M.check(action, params, resolved)
  local valid, problems = call.compile(action, resolved):validate(params)
  return valid or nil, problems
end

--- See `sendapi.validate`.
function M.validate(name, params, given)
  local action, message = call.find_action(name)
  local resolved
  if action then
    resolved, message = options.resolve(given)
  end
  if not resolved then
    error("sendapi.validate: " .. message, 2)
  end
  return M.check(action, params, resolved)
end

--- Calls a function with the source id and the figures of each client there is.
---@param visit fun(source_id: string, stats: sendapi.Stats)
function M.each(visit)
  engine.forsake_parent()
  for state in pairs(states) do
    visit(state.source_id, state.endpoint:stats())
  end
end

return M
