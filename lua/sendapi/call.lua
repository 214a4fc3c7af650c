--- One call of an action: from the arguments to the outcome, or to the promise of one.
local actions = require "sendapi.actions"
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local errors = require "sendapi.error"
local options = require "sendapi.options"
local runtime = require "sendapi.runtime"
local typing = require "sendapi.typing"

local M = {}

local TYPING_DEADLINE = 2 -- seconds; after that a typing that could not be sent is stale

local action_by_name, action_names = {}, {}
for _, action in ipairs(actions) do
  action_by_name[action.name] = action
  action_names[#action_names + 1] = action.name
end

--- The action of a name; or nil, and what to say of it.
---@param name any
---@return sendapi.Action|nil
---@return string|nil message
function M.find_action(name)
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
---@param action sendapi.Action
---@param resolved table resolved options
---@return userdata schema
function M.compile(action, resolved)
  return core.compile(action.schema, {
    action = action.name,
    source_options = resolved.source_options,
    extra_fields = resolved.extra_fields,
  })
end

---@class sendapi.CallOptions
---@field lane string|number|nil the conversation's key, instead of the one that the params mean
---@field ordered boolean?       false: in no order with others
---@field deadline number?       seconds until the call ends, whatever happens

local known = { lane = true, ordered = true, deadline = true }
local known_names = { "lane", "ordered", "deadline" }

local function complaint(given)
  for name in pairs(given) do
    if not known[name] then
      local near = options.suggestion(name, known_names)
      return ("unknown call option '%s'%s"):format(options.printable(name), near)
    end
  end
  local lane, deadline = given.lane, given.deadline
  if lane ~= nil and type(lane) ~= "string" and type(lane) ~= "number" then
    return ("call option 'lane': expected a string or a number, got a %s"):format(type(lane))
  end
  if given.ordered ~= nil and type(given.ordered) ~= "boolean" then
    return "call option 'ordered': expected a boolean"
  end
  if deadline ~= nil and not (type(deadline) == "number" and deadline > 0) then
    return "call option 'deadline': expected a number of seconds above 0"
  end
end

--- Sorts out what may follow the params: call options, a callback, both in this order, or nothing.
---@return table|nil given
---@return function|nil callback
---@return string|nil message what is wrong with them
function M.arguments(given, callback)
  if callback == nil and type(given) == "function" then
    return nil, given
  end
  if given ~= nil and type(given) ~= "table" then
    return nil, nil, ("expected call options or a function, got a %s"):format(type(given))
  end
  if callback ~= nil and type(callback) ~= "function" then
    return nil, nil, ("expected a function as last argument, got a %s"):format(type(callback))
  end
  return given, callback, given and complaint(given) or nil
end

--- What a client needs for an action; its calls with a callback share it as entry (engine.lua).
---@class sendapi.Operation
---@field client table    the client's state
---@field action string   its name
---@field schema userdata compiled
---@field lane fun(params: table): string|nil
---@field ordered boolean
---@field ephemeral boolean
---@field deadline number seconds

---@return sendapi.Operation
local function new_operation(client, action)
  local resolved = client.options
  local operation = {
    client = client,
    action = action.name,
    schema = M.compile(action, resolved),
    lane = action.lane,
    ordered = resolved.ordered,
    ephemeral = action.ephemeral,
    deadline = action.ephemeral and TYPING_DEADLINE or resolved.deadline,
  }
  client.operations[action] = operation
  return operation
end

local function lane_of(operation, params, given)
  local ordered = operation.ordered
  if given then
    if given.lane ~= nil then
      return "lane " .. given.lane
    end
    if given.ordered ~= nil then
      ordered = given.ordered
    end
  end
  return ordered and operation.lane(params) or nil
end

--- Checks, signs and queues. Waits only when it is told to: at most so many seconds.
---@return integer|nil ticket
---@return integer|table generation or the problem
local function submit(operation, params, given, wait, skip)
  local client = operation.client
  return engine.get():submit(
    client.endpoint,
    client.signer,
    operation.schema,
    params,
    lane_of(operation, params, given),
    given and given.deadline or operation.deadline,
    operation.ephemeral,
    skip,
    wait
  )
end

--- The same; what the server would refuse for its rule is not sent.
local function submit_typing(operation, params, given, wait)
  local times, action = operation.client.typing, operation.action
  local now, thread = core.now(), operation.lane(params)
  local skip = thread and typing.is_early(times, action, thread, now)
  local ticket, answer = submit(operation, params, given, wait, skip)
  if ticket and thread and not skip then
    typing.note(times, action, thread, now)
  end
  return ticket, answer
end

--- Makes the call. Raises nothing but what the runtime refuses, as a message.
---@param client table the client's state
---@param action sendapi.Action
---@param params any
---@param given sendapi.CallOptions|nil
---@param callback fun(ok: true|nil, err: sendapi.Error|nil)|nil
---@return true|nil done delivered; with a callback: accepted
---@return sendapi.Error|nil err
---@return string|nil misuse the call cannot be made here: to be raised
function M.run(client, action, params, given, callback)
  if client.closed then
    return nil, errors.new({ code = "closed" }, action.name)
  end
  local host = runtime.choose(client.options.runtime, callback == nil)
  local misuse = host.prepare and host.prepare(callback == nil, client)
  if misuse then
    return nil, nil, misuse
  end
  local operation = client.operations[action] or new_operation(client, action)
  local send = operation.ephemeral and submit_typing or submit
  local ticket, answer = send(operation, params, given, not callback and host.slice or nil)
  if not ticket then
    return nil, errors.new(answer, action.name)
  end
  local entry = callback and operation or { client = client, action = action.name }
  engine.expect(ticket, answer, entry, callback)
  if host.accepted then
    host.accepted()
  end
  if callback then
    return true
  end
  host.await(entry)
  if entry.failure then
    return nil, errors.new(entry.failure, action.name)
  end
  return true
end

return M
