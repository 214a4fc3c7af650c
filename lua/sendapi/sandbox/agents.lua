-- luacheck: std ngx_lua
--- What agents and the clock do towards connectors: synchronise, hand over replies, press buttons.
-- It runs in nginx; every request to a connector and its answer is recorded.
local cjson = require "cjson"
local connection = require "sendapi.sandbox.connection"
local intake = require "sendapi.sandbox.intake"
local new_poller = require("sendapi.sandbox.poller").new
local signature = require "sendapi.sandbox.signature"
local verdict = require "sendapi.sandbox.verdict"

local DEFAULT_INTERVAL = 60 -- seconds between synchronisations
local WITHOUT_LIST = 3 -- times the interval, when the connector has nothing to list
local MOST_UNDER_WAY = 100 -- replies
local MOST_OBJECTS = 10000 -- of each kind that a poller remembers
local MOST_BYTES = 67108864 -- of the answers of one synchronisation
local WAIT_SECONDS = 120 -- for a synchronisation that is under way

local NO_CONNECTOR = { message = "The source has no connector." } -- any more

local agents = {}

---@class sendapi.sandbox.Agents
---@field state sendapi.sandbox.State
---@field wire sendapi.sandbox.Exchanges
local Agents = {}
Agents.__index = Agents

---@param world { state: sendapi.sandbox.State, wire: sendapi.sandbox.Exchanges,
---  sources: table<string, sendapi.sandbox.Source>, record: fun(recorded: table): table,
---  tokens: fun(): table<string, string> }
---@return sendapi.sandbox.Agents
function agents.new(world)
  return setmetatable({
    world = world,
    state = world.state,
    pollers = {},
    due = {},
    inquiring = {}, -- source -> that it waits for its turn
    under_way = 0,
    calls = setmetatable({}, { __mode = "k" }), -- coroutine -> what it does
  }, Agents)
end

--- A copy that can be changed.
local function copy_of(value)
  if type(value) ~= "table" then
    return value
  end
  local copy = {}
  for name, item in next, value do
    copy[name] = copy_of(item)
  end
  return copy
end

-- Exchanges -------------------------------------------------------------------

--- What is wrong with an answer's signature; nil where none is asked for.
local function verdict_of(self, id, action, status, answer, given)
  if not status or status < 200 or status > 299 then
    return nil
  elseif action == "messaging.queuing_update" and not given then
    return nil
  end
  return verdict.of {
    body = answer,
    signature = given,
    source = id,
    tokens = self.world.tokens(),
    sign = signature.sign,
  }
end

local function action_of(body)
  local is_decoded, request = pcall(cjson.decode, body)
  return is_decoded and type(request) == "table" and request.action or nil
end

--- Sends one body to a connector of a source, and records that.
---@param id string
---@param url string
---@param body string
---@param signed string|nil
---@param try integer|nil
---@return sendapi.sandbox.Recorded
---@return string answer or why there is none
---@return table<string, string>|nil headers
function Agents:exchange(id, url, body, signed, try)
  local action = action_of(body)
  ngx.update_time()
  local at = ngx.now()
  local headers = { ["X-SMCCSDK-SIGNATURE"] = signed }
  local status, answer, got = connection.post(connection.target(url), body, headers)
  ngx.update_time()
  local given = got and got["x-smccsdk-signature"]
  local recorded = self.world.record {
    direction = "out",
    at = at,
    seconds = ngx.now() - at,
    source = id,
    action = type(action) == "string" and action or nil,
    status = status,
    error = not status and answer or nil,
    url = url,
    try = try,
    verdict = verdict_of(self, id, action, status, answer, given),
    request = { body = body, bytes = #body, signature = signed, headers = headers },
    answer = status and { body = answer, bytes = #answer, signature = given } or nil,
  }
  return recorded, answer, got
end

--- A poller's way to the connector that there is now: what was begun there ends there. Knows by the
-- coroutine for what it asks.
local function exchange_of(self, id)
  local url = self.state.sources[id].connector
  return function(body, signed)
    local call = self.calls[coroutine.running()] or {}
    call.try = (call.try or 0) + 1
    if call.message then
      self.state:trying(call.message, call.try)
    end
    local try = call.has_tries and call.try
    local recorded, answer, headers = self:exchange(id, url, body, signed, try)
    call.bytes = (call.bytes or 0) + #answer
    if call.bytes > MOST_BYTES then
      return nil, ("more than %d bytes in one synchronisation"):format(MOST_BYTES)
    end
    return recorded.status, answer, headers
  end
end

local function poller_of(self, id)
  if not self.pollers[id] then
    self.pollers[id] = new_poller {
      token = self.world.sources[id].token,
      sign = signature.sign,
      now = ngx.now,
      exchange = exchange_of(self, id),
      arrived = function(kind, object)
        self.state:take(id, kind, copy_of(object), ngx.now())
      end,
    }
  end
  return self.pollers[id]
end

--- Has the source's poller do something.
---@param call table what it is for
---@param method string
local function ask(self, id, call, method, ...)
  if not self.state.sources[id].connector then
    return nil, NO_CONNECTOR
  end
  local poller = poller_of(self, id)
  local thread = coroutine.running()
  self.calls[thread] = call
  local fine, result, problem = pcall(poller[method], poller, ...)
  self.calls[thread] = nil
  poller:forget(MOST_OBJECTS)
  if not fine then
    ngx.log(ngx.ERR, "sandbox: ", method, ": ", result)
    return nil, { message = "The sandbox failed; its log says how." }
  end
  return result, problem
end

-- Synchronisation ---------------------------------------------------------------

local function synchronise(self, id, method)
  if not self.state.sources[id].connector then
    return nil, NO_CONNECTOR
  end
  self.state:source(id, { syncing = true })
  local poller = poller_of(self, id)
  local result, problem = ask(self, id, {}, method)
  if self.pollers[id] ~= poller then -- the source has another connector by now
    self.state:source(id, { syncing = false })
    return result, problem
  end
  self.state:source(id, {
    info = poller.info or cjson.null,
    syncing = false,
    error = problem and problem.message or cjson.null,
    polled_at = method == "synchronise" and ngx.now() or nil,
  })
  self.world.sources[id].options = self.state:options(id)
  return result, problem
end

--- Waits until no synchronisation of the source is under way.
local function wait_for_turn(self, id)
  local deadline = ngx.now() + WAIT_SECONDS
  while self.state.sources[id].syncing and ngx.now() < deadline do
    ngx.sleep(0.02)
  end
end

local function schedule(self, id)
  local source = self.state.sources[id]
  local info = source.info
  local has_list = not info
  for _, operations in pairs(info and info.objects or {}) do
    has_list = has_list or operations.list == true
  end
  self.due[id] = ngx.now() + source.interval * (has_list and 1 or WITHOUT_LIST)
end

--- Asks the connector for everything new; waits for a synchronisation that is under way before.
---@param id string
---@return table|nil
---@return sendapi.sandbox.Problem|nil
function Agents:synchronise(id)
  wait_for_turn(self, id)
  local result, problem = synchronise(self, id, "synchronise")
  schedule(self, id)
  return result, problem
end

local function in_background(work)
  local ok, message = ngx.timer.at(0, function(is_premature)
    if not is_premature then
      work()
    end
  end)
  if not ok then
    ngx.log(ngx.ERR, "sandbox: ", message)
  end
  return ok
end

--- What follows when a source was saved: the connector is asked what it implements.
---@param id string
---@param is_another boolean whether it is another connector than before
function Agents:saved(id, is_another)
  local poller = self.pollers[id]
  if poller then
    poller.settings.token = self.world.sources[id].token
  end
  if is_another then
    self.pollers[id] = nil
    self.state:source(id, { info = cjson.null, error = cjson.null, polled_at = cjson.null })
  end
  if not self.state.sources[id].connector then
    return
  end
  schedule(self, id)
  if self.inquiring[id] then
    return
  end
  self.inquiring[id] = in_background(function()
    wait_for_turn(self, id)
    self.inquiring[id] = nil
    synchronise(self, id, "inquire")
  end)
end

local function is_due(self, source, now)
  return source.connector
    and source.interval > 0
    and not source.syncing
    and (self.due[source.id] or 0) <= now
end

--- Starts the synchronisations that are due. To be called every second.
---@param now number
function Agents:tick(now)
  for id, source in pairs(self.state.sources) do
    if is_due(self, source, now) then
      schedule(self, id)
      in_background(function()
        self:synchronise(id)
      end)
    end
  end
end

---@param given number|nil
---@return number seconds
function agents.interval(given)
  return given or DEFAULT_INTERVAL
end

-- What agents do ---------------------------------------------------------------

--- The part of a thread in what goes out.
local function place_of(self, thread, object)
  local source = thread.source
  if object == "private_messages" then
    local customer = thread.customer
    local author = customer and intake.params(customer).author
    return { recipient_id = type(author) == "table" and author.id or nil }
  elseif object == "messages" and thread.kind == "thread" then
    local is_unthreaded = self.state:has_option(source, "messages.unthreaded")
    return { thread_id = not is_unthreaded and thread.id or nil }
  end
  return {}
end

local function params_of(self, thread, object, given)
  local params = place_of(self, thread, object)
  local customer = thread.customer
  params.body = given.body
  params.title = given.title
  params.attachments = given.attachments
  params.structured_content = given.structured_content
  params.sender_name = given.sender_name
  params.in_reply_to_id = given.in_reply_to_id or (customer and customer.id)
  return params
end

local function shown_params(params)
  local shown = copy_of(params)
  shown.author = {
    id = "agent",
    screenname = params.sender_name or "Agent",
    puppetizable = true,
  }
  return shown
end

--- Hands over what an agent wrote; what becomes of it arrives as events.
---@param thread sendapi.sandbox.ThreadRecord
---@param object string
---@param given { body: string?, title: string?, attachments: table?, structured_content: table?,
---  sender_name: string?, in_reply_to_id: string? }
---@return sendapi.sandbox.MessageRecord|nil
---@return string|nil message
function Agents:reply(thread, object, given)
  if self.under_way >= MOST_UNDER_WAY then
    return nil, "Too many replies are under way."
  end
  local params = params_of(self, thread, object, given)
  local message = self.state:reply(thread, object, shown_params(params), ngx.now())
  self.under_way = self.under_way + 1
  in_background(function()
    local call = { message = message, has_tries = true }
    local created, problem = ask(self, thread.source, call, "create", object, params)
    self.under_way = self.under_way - 1
    if created then
      self.state:sent(message, created)
    else
      self.state:failed(message, problem.message)
    end
  end)
  return message
end

--- Presses a button on a message; without one, on the thread itself.
---@param thread sendapi.sandbox.ThreadRecord
---@param message sendapi.sandbox.MessageRecord|nil
---@param operation string
---@return table|nil object
---@return sendapi.sandbox.Problem|nil
function Agents:act(thread, message, operation)
  local object = message and message.object or "threads"
  local id = message and message.id or thread.id
  local action = object .. "." .. operation
  local answer, problem = ask(self, thread.source, { has_tries = true }, "perform", action, {
    id = id,
  })
  if answer and message then
    self.state:changed(message, operation, copy_of(answer))
  elseif answer then
    self.state:thread_changed(thread, operation, answer)
  end
  return answer, problem
end

--- Tells the connector how long a customer still waits.
---@param thread sendapi.sandbox.ThreadRecord
---@param position integer
---@param seconds number
function Agents:queue(thread, position, seconds)
  local params = {
    position = position,
    estimated_wait_time = seconds,
    thread_id = thread.kind == "thread" and thread.id or nil,
    in_reply_to_id = thread.customer and thread.customer.id or nil,
  }
  return ask(self, thread.source, {}, "queuing_update", params)
end

return agents
