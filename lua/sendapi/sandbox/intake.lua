--- How what the Send API or a connector brings becomes a message in a thread.
--
-- Pure.
local cjson = require "cjson"
local encode = require "sendapi.sandbox.encode"
local json = require "sendapi.json"

local LONGEST_TEXT = 262144 -- bytes of a body, of a content
local LARGEST = 524288 -- bytes of a message that is kept as a whole
local LONGEST_NAME = 300 -- bytes of what is said of a user
local DEEPEST = 32 -- arrays and objects within one another
local MOST_USERS = 50 -- that a thread remembers
local OVERHEAD = 1024 -- bytes that a message counts for besides its texts
local LONGEST_REQUEST = 16384 -- bytes of one that is kept as it came
local LONGEST_FORGOTTEN = 4096 -- bytes of a message that events may tell as it was

local intake = {}

--- A text or a number as text; nil when it is neither.
---@param value any
---@return string|nil
function intake.text(value)
  if type(value) == "number" then
    return (value % 1 == 0 and "%.0f" or "%.14g"):format(value)
  end
  return type(value) == "string" and value or nil
end

local text = intake.text

local function id_of(user)
  return json.type(user) == "object" and text(user.id) or nil
end

--- What is remembered of a user besides the messages.
---@param given table with an id
---@return table
function intake.user(given)
  local user = { puppetizable = given.puppetizable == true or nil }
  for _, name in ipairs { "id", "screenname", "firstname", "lastname", "avatar_url" } do
    local value = text(given[name])
    user[name] = value and encode.excerpt(value, LONGEST_NAME)
  end
  return user
end

--- Bytes of the texts in a value, and something for each of them.
local function weigh(value, depth)
  if type(value) == "string" then
    return 16 + #value
  elseif type(value) ~= "table" or depth == 0 then
    return 16
  end
  local sum = 64
  for name, item in next, value do
    sum = sum + weigh(item, depth - 1) + (type(name) == "string" and #name or 0)
  end
  return sum
end

local FIELDS = {
  "id",
  "actions",
  "attachments",
  "author",
  "body",
  "categories",
  "created_at",
  "format",
  "in_reply_to_id",
  "recipient",
  "structured_content",
  "structured_reply",
  "thread_id",
  "title",
}

--- Whether a value can be written as JSON, at a depth that nobody minds.
local function is_fit(value, depth)
  if type(value) == "number" then
    return value == value and value ~= math.huge and value ~= -math.huge
  elseif type(value) ~= "table" then
    return true
  elseif depth == 0 then
    return false
  end
  for _, item in next, value do
    if not is_fit(item, depth - 1) then
      return false
    end
  end
  return true
end

--- The fields that are kept, those of them that can be told.
---@return table params
---@return boolean is_cut
local function fields_of(given)
  local params, is_cut = {}, false
  for _, name in ipairs(FIELDS) do
    local value = given[name]
    if is_fit(value, DEEPEST) then
      params[name] = value ~= cjson.null and value or nil
    else
      is_cut = true
    end
  end
  return params, is_cut
end

local function without_large_content(attachment)
  local content = json.type(attachment) == "object" and attachment.content
  if type(content) == "string" and #content > LONGEST_TEXT then
    attachment.bytes, attachment.content = math.floor(#content * 3 / 4), nil
  end
end

local function least_of(params)
  return {
    id = params.id,
    body = text(params.body) and encode.excerpt(params.body, LONGEST_NAME),
    author = id_of(params.author) and intake.user(params.author),
    recipient = id_of(params.recipient) and intake.user(params.recipient),
    thread_id = params.thread_id,
  }
end

--- What is kept of a content: its fields, long texts cut, large files only by their size. Fields
-- that JSON cannot say, or that are very deep, are left out.
---@param given table its own from here on
---@return table params
---@return integer bytes what it counts for
---@return boolean is_cut
function intake.content(given)
  local params, is_cut = fields_of(given)
  params.body = text(params.body)
  if params.body and #params.body > LONGEST_TEXT then
    params.body, is_cut = encode.excerpt(params.body, LONGEST_TEXT), true
  end
  local files = json.type(params.attachments) == "array" and params.attachments or {}
  for _, attachment in ipairs(files) do
    without_large_content(attachment)
  end
  local bytes = weigh(params, 64)
  if bytes > LARGEST then
    params, is_cut = least_of(params), true
    bytes = weigh(params, 64)
  end
  return params, OVERHEAD + bytes, is_cut
end

local function thread_of_answered(state, source, object, params)
  local answered = text(params.in_reply_to_id)
  local message = answered and state.conversations:message(source, object, answered)
  return message and message.thread
end

local function pair_of(params)
  local one, other = id_of(params.author) or "?", id_of(params.recipient) or "?"
  if other < one then
    one, other = other, one
  end
  local length = one:find "[ :]" and #one .. ":" or "" -- else it shows where the first one ends
  return length .. one .. " " .. other
end

--- The kind and the id of the thread that a content belongs to.
local function identity_of(state, source, object, params)
  local thread_id = text(params.thread_id)
  if object == "threads" then
    return "thread", text(params.id)
  elseif object == "private_messages" then
    return "private", pair_of(params)
  elseif thread_id and not state:has_option(source, "messages.unthreaded") then
    return "thread", thread_id
  end
  return "author", id_of(params.author) or "?"
end

local function thread_of(state, source, object, params, from, at)
  local kind, id = identity_of(state, source, object, params)
  local answered = kind == "author"
    and from == "agent"
    and thread_of_answered(state, source, object, params)
  return answered or state.conversations:open(source, kind, id, at)
end

--- Remembers who takes part in a thread, the first ones.
---@param thread sendapi.sandbox.ThreadRecord
---@param user any
function intake.note_user(thread, user)
  local id = id_of(user)
  if id and not thread.users[id] and #thread.user_ids < MOST_USERS then
    thread.user_ids[#thread.user_ids + 1] = id
    thread.users[id] = intake.user(user)
  end
end

--- What is kept of a message's content.
---@param message sendapi.sandbox.MessageRecord
---@return table params
---@return boolean is_cut whether there was more
function intake.params(message)
  if message.params then
    return message.params, message.is_cut
  end
  local params, _, is_cut = intake.content(cjson.decode(message.request).params)
  return params, is_cut
end

--- Leaves of a message that is forgotten what events may still tell of it.
---@param message sendapi.sandbox.MessageRecord
function intake.shorten(message)
  if message.bytes > LONGEST_FORGOTTEN then
    message.params, message.request, message.is_cut = least_of(intake.params(message)), nil, true
    message.id = message.id and encode.excerpt(message.id, LONGEST_NAME)
  end
end

--- Makes a message of what was received, which has an id; its thread is there then. A short request
-- is kept as it came, and read again by whoever looks at the message: many messages cost little.
---@param state sendapi.sandbox.State
---@param source string
---@param object string
---@param given table
---@param at number
---@param request string|nil the whole body, where it was a request of the Send API
---@return table message for `Conversations:add`
function intake.message(state, source, object, given, at, request)
  local params, bytes, is_cut
  if request and #request <= LONGEST_REQUEST then
    bytes, is_cut = OVERHEAD + #request, false
  else
    params, bytes, is_cut = intake.content(given)
    given, request = params, nil
  end
  local author = given.author
  local is_agent = json.type(author) == "object" and author.puppetizable == true
  local from = is_agent and "agent" or "customer"
  return {
    thread = thread_of(state, source, object, given, from, at),
    source = source,
    object = object,
    id = text(given.id),
    params = params,
    request = request,
    bytes = bytes,
    from = from,
    at = at,
    times = 1,
    state = "received",
    is_cut = is_cut,
    is_polled = false,
    n = 0,
    place = 0,
  }
end

--- Takes over what is said of a message that is known.
---@param conversations sendapi.sandbox.Conversations
---@param message sendapi.sandbox.MessageRecord
---@param given table
function intake.update(conversations, message, given)
  for name, value in next, (intake.params(message)) do
    if given[name] == nil or given[name] == cjson.null then
      given[name] = value
    end
  end
  local params, bytes, is_cut = intake.content(given)
  if message.thread.messages[message.place] == message then
    conversations.bytes = conversations.bytes + bytes - message.bytes
    message.bytes = bytes
  end
  message.params, message.request, message.is_cut = params, nil, is_cut
end

return intake
