--- What `create` answers. It writes into the connector.
local cjson = require "cjson"
local collections = require "sendapi.collections"
local objects = require "sendapi.check.objects"
local reader = require "sendapi.check.reader"
local session_of = require "sendapi.check.session"

local fail, skip = session_of.fail, session_of.skip

-- A character beyond the basic plane; Hebrew, written right to left; quotes, a backslash, a tab.
local ASTRAL = "\240\159\152\128"
local HEBREW = "\215\169\215\156\215\149\215\157"
local ESCAPED = "(escaped)"
local TEXT = ("check: %s %s \195\169 \"'\\ <b>&amp;</b>\ttab"):format(ASTRAL, HEBREW)
local LARGE = ("0123456789"):rep(2000) -- characters: as many as a body may have

--- An object of a kind that the connector listed, the newest.
local function newest_listed(context, kind)
  local listed = context.listed[kind]
  local page = listed and listed.pages[#listed.pages]
  return page and page[1]
end

--- The thread that a message is for: what the user said, or one that is known.
local function known_thread(context)
  local message, thread = newest_listed(context, "messages"), newest_listed(context, "threads")
  return message and objects.id_of { id = message.thread_id } or thread and objects.id_of(thread)
end

--- What ties a content to what is there.
local function ties(context, kind)
  local private = newest_listed(context, "private_messages")
  if kind == "private_messages" then
    return {
      in_reply_to_id = private and objects.id_of(private),
      recipient_id = private and reader.is_object(private.author) and private.author.id or "check",
    }
  elseif
    kind == "messages"
    and not collections.contains(context.info.options, "messages.unthreaded")
  then
    return { thread_id = known_thread(context) or "check" }
  end
  return kind == "threads" and { title = "check" } or {}
end

--- Params as Engage Digital fills them in; what the user gave goes before
-- most of them.
local function params_of(context, kind, body, number)
  local date = os.date "!%Y-%m-%dT%H:%M:%SZ"
  local params = ties(context, kind)
  params.author_id, params.sender_name = "check", "Conformance check"
  params.format, params.created_at, params.updated_at = "text", date, date
  for name, value in pairs(context.settings.create or {}) do
    params[name] = value
  end
  params.body, params.retry = body, false
  params.content_id = ("%s-%s-%d"):format(context.run_id, kind, number)
  return params
end

local function says_where(context)
  return type(context.settings.create) == "table" and next(context.settings.create) ~= nil
end

local function create(context, kind, params)
  local body = session_of.request(kind .. ".create", params)
  body = body:gsub("%(escaped%)", "\\ud83d\\ude00")
  local value = context.session:ask_body(body)
  local problem = session_of.resource_error(value)
  if problem and not says_where(context) then
    skip("The connector would not create it: say where it may be, in the setting create.")
  elseif problem then
    fail "It was answered by an error. It has to succeed with what the setting create says."
  end
  return objects.expect_id("The answer", value)
end

local function answers_an_id(context, kind)
  local params = params_of(context, kind, "check", 1)
  local id = create(context, kind, params)
  context.created[kind] = { id = id, params = params }
end

local function needs_created(context, kind)
  return context.created[kind] or skip "Nothing could be created."
end

local function is_idempotent(context, kind)
  local created = needs_created(context, kind)
  created.params.retry = true
  local id = create(context, kind, created.params)
  if id ~= created.id then
    local sentence = "The same content_id with retry = true was created again: first as %s, then "
      .. "as %s. Remember the content_id with what was answered, and answer that again."
    fail(sentence, created.id, id)
  end
end

local function tells_contents_apart(context, kind)
  local created = needs_created(context, kind)
  local id = create(context, kind, params_of(context, kind, "check", 2))
  if id == created.id then
    fail("Another content_id was answered by the same id, %s. Give every content its own.", id)
  end
end

--- What `show` says of the text, when it says something of it.
local function shown_body(context, kind, id)
  if not collections.contains(context.info.objects[kind], "show") then
    return nil
  end
  local shown = context.session:ask_well(kind .. ".show", { id = id })
  return reader.is_object(shown) and type(shown.body) == "string" and shown.body or nil
end

local function keeps_text(context, kind)
  needs_created(context, kind)
  local params = params_of(context, kind, TEXT .. ESCAPED, 3)
  local id = create(context, kind, params)
  local shown = shown_body(context, kind, id)
  local count = select(2, (shown or ""):gsub(ASTRAL, ""))
  local is_kept = not shown or shown:find("&#", 1, true) or (count == 2 and shown:find(HEBREW))
  if not is_kept then
    local sentence = "Characters of the body are lost: show does not answer them as they were "
      .. "created. Read and keep text as UTF-8, also beyond U+FFFF (MySQL: utf8mb4) and from "
      .. "escapes such as \\ud83d\\ude00."
    fail(sentence)
  end
end

local function takes_large_bodies(context, kind)
  needs_created(context, kind)
  create(context, kind, params_of(context, kind, LARGE, 4))
end

local function takes_what_may_be_missing(context, kind)
  needs_created(context, kind)
  local params = params_of(context, kind, "check", 5)
  params.title, params.structured_content = cjson.null, cjson.null
  params.check_unknown = { a = 1 }
  create(context, kind, params)
end

local cases = {
  { "answers an id", answers_an_id },
  { "repeated with the same content_id, it answers the same id", is_idempotent },
  { "another content_id has another id", tells_contents_apart },
  { "keeps text of any language", keeps_text },
  { "takes a body of 20,000 characters", takes_large_bodies },
  { "takes params that are null or unknown", takes_what_may_be_missing },
}

return { operation = "create", cases = cases, writes = true }
