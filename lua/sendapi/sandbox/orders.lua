-- luacheck: std ngx_lua
--- What the screen and tests may have done: everything under `/_sandbox` that changes something.
-- Each function gets the decoded body, and what stands behind its name in the path; it gives a
-- status and a table.
local cjson = require "cjson"
local collections = require "sendapi.collections"
local connection = require "sendapi.sandbox.connection"
local exchanges = require "sendapi.sandbox.exchanges"
local inquiries = require "sendapi.sandbox.inquiries"
local json = require "sendapi.json"
local plan = require "sendapi.sandbox.plan"
local settings = require "sendapi.sandbox.settings"
local signature = require "sendapi.sandbox.signature"
local view = require "sendapi.sandbox.view"
local world = require "sendapi.sandbox.world"

local MOST_SOURCES = 100
local LONGEST_NAME = 300 -- bytes
local OBJECTS = { messages = true, private_messages = true, threads = true }

local orders = { POST = {}, PUT = {} }

local function failed(status, message)
  return status, { error = message }
end

local function is_list(value)
  return json.type(value) == "array" or (type(value) == "table" and next(value) == nil)
end

local function is_text(value)
  return type(value) == "string" and value ~= ""
end

--- The source of a thread, or the one that is named; nil, a status and why not.
local function connected(id)
  local source = type(id) == "string" and world.state.sources[id]
  if not source then
    return nil, 404, { error = "There is no such source." }
  elseif not source.connector then
    return nil, 409, { error = "The source has no connector." }
  end
  return source
end

local function find_thread(given)
  local thread = is_text(given.thread) and world.state:find(given.thread)
  if not thread then
    return nil, 404, { error = "There is no such thread." }
  end
  return thread
end

--- A thread whose source has a connector.
local function connected_thread(given)
  local thread, status, problem = find_thread(given)
  local source
  if thread then
    source, status, problem = connected(thread.source)
  end
  return source and thread, status, problem
end

-- Replies ---------------------------------------------------------------------

--- The thread that a reply goes to, which it may begin.
local function thread_of_reply(given, object)
  if given.thread ~= nil then
    return connected_thread(given)
  end
  local source, status, problem = connected(given.source)
  if not source then
    return nil, status, problem
  elseif object == "threads" then
    local id = ("new %d"):format(world.state.conversations.number + 1)
    return world.state.conversations:open(source.id, "thread", id, ngx.now())
  elseif not is_text(given.thread_id) then
    return nil, 422, { error = "thread_id: expected a text." }
  end
  return world.state.conversations:open(source.id, "thread", given.thread_id, ngx.now())
end

local function problem_of_attachments(list)
  if not is_list(list) then
    return "attachments: expected a list."
  end
  for _, attachment in ipairs(list) do
    if json.type(attachment) ~= "object" or not is_text(attachment.url) then
      return "attachments: each needs a url."
    end
  end
end

local function is_absent(value)
  return value == nil or value == "" or (type(value) == "table" and next(value) == nil)
end

local function problem_of_author(author)
  if json.type(author) ~= "object" or type(author.screenname) ~= "string" then
    return "author: expected an object with a screenname."
  elseif #author.screenname > LONGEST_NAME then
    return "author: the screenname is too long."
  end
end

local function problem_of_fields(given)
  if given.object ~= nil and not OBJECTS[given.object] then
    return "object: expected messages, private_messages or threads."
  elseif given.body ~= nil and type(given.body) ~= "string" then
    return "body: expected a text."
  elseif given.structured_content ~= nil and json.type(given.structured_content) ~= "object" then
    return "structured_content: expected an object."
  elseif given.in_reply_to_id ~= nil and not is_text(given.in_reply_to_id) then
    return "in_reply_to_id: expected a text."
  end
end

local function is_empty(given)
  return is_absent(given.body)
    and is_absent(given.attachments)
    and is_absent(given.structured_content)
end

local function problem_of_reply(given)
  return problem_of_fields(given)
    or (given.author ~= nil and problem_of_author(given.author))
    or problem_of_attachments(given.attachments or {})
    or (is_empty(given) and "A reply needs a body, attachments or structured contents.")
    or nil
end

local function given_or_nil(value)
  return not is_absent(value) and value or nil
end

function orders.POST.reply(given)
  local problem = problem_of_reply(given)
  if problem then
    return failed(422, problem)
  end
  local thread, status, refusal = thread_of_reply(given, given.object)
  if not thread then
    return status, refusal
  end
  local usual = thread.kind == "private" and "private_messages" or "messages"
  local message, reason = world.agents:reply(thread, given.object or usual, {
    body = given.body,
    title = is_text(given.title) and given.title or nil,
    attachments = given_or_nil(given.attachments),
    structured_content = given_or_nil(given.structured_content),
    sender_name = given.author and given_or_nil(given.author.screenname),
    in_reply_to_id = given.in_reply_to_id,
  })
  if not message then
    return failed(503, reason)
  end
  return 200, view.message(message, world.state.sources[thread.source])
end

-- Other things that agents do -----------------------------------------------------

local function find_message(thread, id)
  for _, object in ipairs { "messages", "private_messages", "threads" } do
    local message = world.state.conversations:message(thread.source, object, id)
    if message and message.thread == thread then
      return message
    end
  end
end

function orders.POST.action(given)
  local thread, status, refusal = connected_thread(given)
  if not thread then
    return status, refusal
  elseif not is_text(given.operation) or not given.operation:find "^[%w_]+$" then
    return failed(422, "operation: expected the name of an operation.")
  end
  local message
  if given.message ~= nil then
    message = type(given.message) == "string" and find_message(thread, given.message)
    if not message then
      return failed(404, "There is no such message.")
    end
  end
  local source = world.state.sources[thread.source]
  if not view.is_pressed(source, message and message.object or "threads", given.operation) then
    return failed(422, "The connector does not implement this operation.")
  end
  local object, problem = world.agents:act(thread, message, given.operation)
  if not object then
    return failed(502, problem.message)
  end
  return 200, message and view.message(message, source) or view.thread(thread, source)
end

function orders.POST.typing(given)
  local thread, status, refusal = find_thread(given)
  if not thread then
    return status, refusal
  elseif type(given.on) ~= "boolean" then
    return failed(422, "on: expected true or false.")
  end
  return 200, {} -- the protocol has no way to tell a connector
end

--- Of a thread that was forgotten meanwhile nothing is left to be seen.
function orders.POST.seen(given)
  if not is_text(given.thread) then
    return failed(422, "thread: expected a text.")
  end
  local thread = find_thread(given)
  if thread then
    world.state:seen(thread)
  end
  return 200, {}
end

local function is_count(value)
  return type(value) == "number" and value >= 0 and value < 1e9
end

function orders.POST.queuing(given)
  local thread, status, refusal = connected_thread(given)
  if not thread then
    return status, refusal
  elseif not is_count(given.position) or given.position % 1 ~= 0 then
    return failed(422, "position: expected a whole number.")
  elseif not is_count(given.estimated_wait_time) then
    return failed(422, "estimated_wait_time: expected seconds.")
  end
  local ok, problem = world.agents:queue(thread, given.position, given.estimated_wait_time)
  if not ok then
    return failed(502, problem.message)
  end
  return 200, {}
end

-- The sandbox itself ---------------------------------------------------------------

function orders.POST.poll(given)
  local source, status, refusal = connected(given.source)
  if not source then
    return status, refusal
  end
  local result, problem = world.agents:synchronise(source.id)
  if not result then
    return failed(502, problem.message)
  end
  return 200, {}
end

function orders.PUT.sources(given, id)
  local problem = settings.problem_of_id(id or "") or settings.problem(given)
  if problem then
    return failed(422, problem)
  elseif not world.sources[id] then
    if not is_text(given.token) then
      return failed(422, "token: a new source needs one.")
    elseif collections.count(world.sources) >= MOST_SOURCES then
      return failed(409, "There are too many sources.")
    end
  elseif given.token == cjson.null then
    given.token = nil
  end
  world.save_source(id, given)
  return 200, view.source(world.state.sources[id])
end

local function known_faults(given)
  if given.kind ~= nil then
    return { fault = given }
  end
  for name in pairs(given) do
    if name ~= "fault" and name ~= "faults" and name ~= "seed" then
      return nil, ("There is no setting %q."):format(name)
    end
  end
  return given
end

function orders.POST.faults(given)
  local description, problem = known_faults(given)
  local fine, found = pcall(plan.problem, description or {})
  problem = problem or found
  if not fine or problem then
    return failed(422, fine and problem or "The description of the faults is not understood.")
  end
  world.set_plan(description)
  return inquiries.faults()
end

-- Replays -----------------------------------------------------------------------

local function replay_out(recorded, body, signed)
  local source, status, refusal = connected(recorded.source)
  if not source then
    return status, refusal
  end
  return 200, exchanges.view(world.agents:exchange(source.id, source.connector, body, signed), true)
end

--- Sends it to the sandbox itself, and finds there what came of it.
local function replay_in(recorded, body, signed)
  local mark = ("%s %d"):format(ngx.var.request_id, recorded.n)
  local target = connection.target(("http://127.0.0.1:%s%s"):format(
    ngx.var.server_port,
    recorded.url:gsub("%?.*", "")
  ))
  if not target then
    return failed(422, "The request's path cannot be sent again.")
  end
  connection.post(target, body, {
    ["X-SMCCSDK-SIGNATURE"] = signed,
    ["X-Sandbox-Replay"] = mark,
  })
  local again = world.wire:find(function(one)
    local headers = one.direction == "in" and one.request.headers
    return headers and headers:find(mark, 1, true) and one
  end)
  if not again then
    return failed(502, "The request has not come back to the sandbox.")
  end
  return 200, exchanges.view(again, true)
end

function orders.POST.replay(given)
  local recorded = type(given.n) == "number" and world.wire:get(given.n)
  if not recorded then
    return failed(404, "There is no such exchange, or not any more.")
  elseif given.body ~= nil and type(given.body) ~= "string" then
    return failed(422, "body: expected a text.")
  elseif given.sign ~= nil and type(given.sign) ~= "boolean" then
    return failed(422, "sign: expected true or false.")
  elseif given.body == nil and recorded.request.partial then
    return failed(409, "The request is kept in part only.")
  end
  local body = given.body or recorded.request.body
  local source = world.sources[recorded.source]
  local signed = recorded.request.signature
  if given.body ~= nil and given.sign ~= false or given.sign == true then
    signed = source and signature.sign(source.token, body) or signed
  end
  local replay = recorded.direction == "in" and replay_in or replay_out
  return replay(recorded, body, signed)
end

return orders
