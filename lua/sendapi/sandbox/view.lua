--- What the agent's screen is told of sources, threads and messages: tables that are written as
-- JSON. What strangers gave is taken over only where it has the type that it should have.
--
-- Pure.
local encode = require "sendapi.sandbox.encode"
local intake = require "sendapi.sandbox.intake"
local json = require "sendapi.json"

local text = intake.text

local view = {}

local LONGEST_EXCERPT = 300 -- bytes
local MOST_USERS = 20

-- Operations that nobody presses on an object.
local COLLECTION = { show = true, list = true, create = true, reply = true }

local function object(value)
  return json.type(value) == "object" and next(value) ~= nil and value or nil
end

local function array(value)
  return json.type(value) == "array" and value or nil
end

--- An operation's name as a button's, where the connector says none.
local function humanised(operation)
  local words = operation:gsub("_+", " "):gsub("^ +", "")
  return words:sub(1, 1):upper() .. words:sub(2)
end

local function label_of(info, operation)
  local locales = info and info.locales
  local texts = type(locales) == "table" and locales.default
  local label = type(texts) == "table" and texts[operation]
  return type(label) == "string" and label ~= "" and label or humanised(operation)
end

--- Whether an agent may press this: it is no operation of a collection, and the connector has it.
function view.is_pressed(source, kind, operation)
  local info = source and source.info
  if COLLECTION[operation] then
    return false
  end
  return not info or (info.objects[kind] or {})[operation] == true
end

--- The buttons of an object.
local function actions_of(source, kind, names)
  local actions, seen = {}, {}
  for _, name in ipairs(array(names) or {}) do
    if type(name) == "string" and not seen[name] and view.is_pressed(source, kind, name) then
      seen[name] = true
      actions[#actions + 1] = { name = name, label = label_of(source and source.info, name) }
    end
  end
  return encode.list(actions)
end

--- The texts in a list; nil when there are none.
local function texts_of(given)
  local texts = {}
  for _, item in ipairs(array(given) or {}) do
    texts[#texts + 1] = text(item)
  end
  return texts[1] and texts or nil
end

local function attachments_of(given)
  local attachments = {}
  for _, attachment in ipairs(array(given) or {}) do
    attachments[#attachments + 1] = object(attachment) and {
      url = text(attachment.url),
      content = text(attachment.content),
      bytes = type(attachment.bytes) == "number" and attachment.bytes or nil,
      filename = text(attachment.filename),
      type = text(attachment.type),
    } or nil
  end
  return encode.list(attachments)
end

--- What is said of a message.
---@param message sendapi.sandbox.MessageRecord
---@param source table|nil
---@return table
function view.message(message, source)
  local params, is_cut = intake.params(message)
  return {
    n = message.n,
    id = message.id,
    key = message.thread.key,
    source = message.source,
    object = message.object,
    from = message.from,
    author = object(params.author),
    recipient = object(params.recipient),
    body = text(params.body),
    partial = is_cut or nil,
    format = text(params.format),
    created_at = text(params.created_at),
    received_at = message.at,
    times = message.times,
    attachments = attachments_of(params.attachments),
    categories = texts_of(params.categories),
    structured_content = object(params.structured_content),
    structured_reply = object(params.structured_reply),
    in_reply_to_id = text(params.in_reply_to_id),
    read_at = message.read_at,
    removed = message.removed,
    state = message.state,
    error = message.error,
    tries = message.tries,
    actions = actions_of(source, message.object, params.actions),
  }
end

local function last_of(thread)
  local message = thread.messages[thread.last]
  if not message then
    return nil
  end
  local params = intake.params(message)
  return {
    text = encode.excerpt(text(params.body) or "", LONGEST_EXCERPT),
    at = message.at,
    author = object(params.author),
  }
end

function view.typing(typing)
  return { user = typing.user, preview = typing.preview }
end

--- What is said of a thread, without its messages.
---@param thread sendapi.sandbox.ThreadRecord
---@param source table|nil
---@return table
function view.thread(thread, source)
  local users, typing = {}, {}
  for i = 1, math.min(#thread.user_ids, MOST_USERS) do
    users[i] = thread.users[thread.user_ids[i]]
  end
  for _, one in pairs(thread.typing) do
    typing[#typing + 1] = view.typing(one)
  end
  return {
    key = thread.key,
    source = thread.source,
    id = thread.id,
    kind = thread.kind,
    title = thread.title,
    users = encode.list(users),
    last = last_of(thread),
    at = thread.at,
    count = thread.last - thread.first + 1,
    unread = thread.unread,
    typing = encode.list(typing),
    actions = actions_of(source, "threads", thread.actions),
    removed = thread.removed,
  }
end

local function sorted_names(set)
  local names = {}
  for name in pairs(set) do
    names[#names + 1] = name
  end
  table.sort(names)
  return encode.list(names)
end

--- Texts by operation, by language: what else a connector says there is left out.
local function view_of_locales(locales)
  local view_of = {}
  for language, texts in pairs(locales) do
    if type(language) == "string" and type(texts) == "table" then
      view_of[language] = {}
      for operation, label in pairs(texts) do
        local is_label = type(operation) == "string" and type(label) == "string"
        view_of[language][operation] = is_label and label or nil
      end
    end
  end
  return view_of
end

local function view_of_info(info)
  if not info then
    return nil
  end
  local objects = {}
  for name, operations in pairs(info.objects) do
    objects[name] = sorted_names(operations)
  end
  return {
    objects = objects,
    options = sorted_names(info.options),
    locales = view_of_locales(info.locales),
  }
end

--- What is said of a source; its token is not.
---@param source table
---@return table
function view.source(source)
  return {
    id = source.id,
    name = source.name or source.id,
    options = encode.list(source.options),
    actions = source.actions,
    connector = source.connector,
    interval = source.interval,
    info = view_of_info(source.info),
    syncing = source.syncing or false,
    error = source.error,
    polled_at = source.polled_at,
  }
end

return view
