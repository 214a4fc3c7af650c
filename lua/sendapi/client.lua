--- A client of one source: the actions, bound to the engine.
local actions = require "sendapi.actions"
local call = require "sendapi.call"
local drive = require "sendapi.drive"
local engine = require "sendapi.engine"
local options = require "sendapi.options"
local outbox = require "sendapi.outbox"
local queue = require "sendapi.queue"
local states = require "sendapi.state"

local M = {}

-- What a client keeps to itself, by client: nothing of it is reachable from the outside, so that no
-- dump of a client shows the signer.
local private = setmetatable({}, { __mode = "k" })

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
  return drive.poll(state, most, seconds)
end

--- Waits until nothing is under way, and runs callbacks meanwhile.
---@param seconds number|nil at most; nil: as long as it takes, which every call's deadline bounds
---@return true|nil
---@return sendapi.Error|nil err with the code `timeout`, and `pending`: how many are left
function Client:flush(seconds)
  return drive.flush(state_of(self, "flush"), seconds)
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
--
-- What is pending is delivered from when the client was made. One that was made before a fork, as
-- in nginx's init_by_lua, delivers from its first call in the process: `client:outbox()` in
-- init_worker_by_lua is such a call, so that no request need come.
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
--
-- Of an outbox that this process delivers, half of the time is for what is pending there, unless
-- nothing can be delivered; what is left stays there.
---@param seconds number|nil to wait at most; the option `close_timeout` unless given
---@return true
function Client:close(seconds)
  return drive.close(state_of(self, "close"), seconds)
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
  drive.close(private[self])
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

--- Makes a client; or says what is wrong with the arguments.
---@param source_id any
---@param token any
---@param given any
---@return sendapi.Client|nil
---@return string|nil message
function M.make(source_id, token, given)
  local resolved, answer, driver = states.prepare(source_id, token, given)
  if not resolved then
    return nil, answer
  end
  local self = {}
  private[self] = states.new(source_id, token, resolved, answer, driver)
  for _, action in ipairs(actions) do
    if not self[action.resource] then
      self[action.resource] = new_resource(private[self], action.resource)
    end
  end
  return setmetatable(self, Client)
end

--- Makes a client of a source. Raises at the caller's line when an argument is wrong. The first
-- call starts the thread and opens a connection; with an outbox this one does, but not in nginx's
-- master.
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

M.each = states.each

return M
