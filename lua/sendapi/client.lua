--- A client of one source: the actions, bound to the engine.
local actions = require "sendapi.actions"
local blocking = require "sendapi.runtime.blocking"
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local errors = require "sendapi.error"
local options = require "sendapi.options"
local url = require "sendapi.url"
local version = require "sendapi.version"

local M = {}

-- What a client keeps to itself, by client: nothing of it is reachable from the outside, so that no
-- dump of a client shows the signer.
local private = setmetatable({}, { __mode = "k" })

local USER_AGENT = ("sendapi/%s (%s) libcurl/%s"):format(version, _VERSION, core.libcurl)

local action_by_name, action_names = {}, {}
for _, action in ipairs(actions) do
  action_by_name[action.name] = action
  action_names[#action_names + 1] = action.name
end

--- The action of a name, or what to say of it.
local function find_action(name)
  local action = action_by_name[name]
  if action then
    return action
  end
  return nil,
    ("there is no action '%s'%s"):format(
      options.printable(name),
      options.suggestion(name, action_names)
    )
end

--- Compiles what `params` must be for an action, as the source's options relax it.
local function compile(action, resolved)
  return core.compile(action.schema, {
    action = action.name,
    source_options = resolved.source_options,
    extra_fields = resolved.extra_fields,
  })
end

--- Checks, signs, sends and waits.
---@return true|nil
---@return sendapi.Error|nil
local function call(self, action, params)
  local state = private[self]
  if state.closed then
    return nil, errors.new({ code = "closed", message = "the client was closed" }, action.name)
  end
  local schema = state.schemas[action]
  if not schema then
    schema = compile(action, state.options)
    state.schemas[action] = schema
  end
  local ticket, failure = engine.get():submit(state.endpoint, state.signer, schema, params)
  if ticket then
    failure = blocking.await(ticket)
  end
  if failure then
    return nil, errors.new(failure, action.name)
  end
  return true
end

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

--- Sends an action by its name: the same as the method of that name.
---@param name string `"messages.create"`
---@param params table what the action takes (types.lua)
---@return true|nil delivered
---@return sendapi.Error|nil err
function Client:send(name, params)
  state_of(self, "send")
  local action, message = find_action(name)
  if not action then
    error(message, 2)
  end
  return call(self, action, params)
end

--- Checks without sending, by this client's options: see `sendapi.validate`.
---@param name string
---@param params table
---@return true|nil valid
---@return sendapi.Problem[] problems
function Client:validate(name, params)
  local state = state_of(self, "validate")
  local action, message = find_action(name)
  if not action then
    error(message, 2)
  end
  return M.check(action, params, state.options)
end

--- Closes the client: its token is wiped from memory, and calls return `closed`. Twice is harmless.
---@return true
function Client:close()
  local state = state_of(self, "close")
  if not state.closed then
    state.closed = true
    state.signer:close()
    state.endpoint:close()
  end
  return true
end

function Client:__tostring()
  return ("%s: %s"):format(Client.__name, private[self].source_id)
end

Client.__close = Client.close
Client.__gc = Client.close

local client_names = { "send", "validate", "close" }
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
local function new_resource(client, name)
  local methods, names = {}, {}
  local resource = {}
  for _, action in ipairs(actions) do
    if action.resource == name then
      names[#names + 1] = action.operation
      methods[action.operation] = function(self, params)
        if self ~= resource then
          error(("call it with a colon: client.%s:%s{...}"):format(name, action.operation), 2)
        end
        return call(client, action, params)
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
local function open_endpoint(resolved, source_url)
  return engine.get():open {
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

--- What is wrong with the arguments of `new`, or the options resolved and the url.
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
  local source_url
  source_url, message = url.of_source(resolved, source_id)
  return source_url and resolved, message or source_url
end

--- Makes a client of a source. Raises at the caller's line when an argument is wrong; opens no
-- connection and starts no thread: the first call does.
---@param source_id string the source's id in Engage Digital
---@param token string the source's access token, which signs what is sent; kept only as a key
---@param given sendapi.ClientOptions|nil
---@return sendapi.Client
function M.new(source_id, token, given)
  local resolved, answer = prepare(source_id, token, given)
  if not resolved then
    error("sendapi.client: " .. answer, 2)
  end
  local self = {}
  private[self] = {
    source_id = source_id,
    options = resolved,
    schemas = {},
    signer = core.signer(token),
    endpoint = open_endpoint(resolved, answer),
  }
  for _, action in ipairs(actions) do
    if not self[action.resource] then
      self[action.resource] = new_resource(self, action.resource)
    end
  end
  return setmetatable(self, Client)
end

--- Checks params against an action: all problems at once, warnings among them.
---@param action sendapi.Action
---@param params any
---@param resolved table resolved options
---@return true|nil valid
---@return sendapi.Problem[] problems
function M.check(action, params, resolved)
  local valid, problems = compile(action, resolved):validate(params)
  return valid or nil, problems
end

--- See `sendapi.validate`.
function M.validate(name, params, given)
  local action, message = find_action(name)
  local resolved
  if action then
    resolved, message = options.resolve(given)
  end
  if not resolved then
    error("sendapi.validate: " .. message, 2)
  end
  return M.check(action, params, resolved)
end

return M
