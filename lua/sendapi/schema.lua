--- The API's objects as data: the one place that knows their fields.
--
-- The core compiles this once and then checks and writes tables by it; the sandbox reads the same
-- data to find what a request lacks. Nothing here is code that runs per message.
--
-- A type is a table with a `kind`:
--
--   string         text, or a number, which becomes its decimal text. `maximum`: characters
--   date           text in any form, or epoch seconds, which become ISO 8601 (UTC)
--   url            text; `maximum`: characters
--   choice         text, one of `choices`
--   boolean
--   any            whatever JSON can hold
--   array          a sequence of `of`; `maximum`: items
--   one_or_many    one `of`, or a sequence of them
--   map            an object with free keys and values of type `of`; `word_keys = true`: the keys
--                  are made of letters, "-" and "_"
--   object         `fields`, written in their order; `file = true`: or a `sendapi.file`
--   variant        an object whose field `tag` says by which of the objects in `of` it is read
--
-- `maximum`, `choices`, `word_keys` and the form of a url are what the documents say but the server
-- is not known to refuse: they give warnings, never a refusal.
--
-- A field is `{ name, type }` and may say when it must be there and not empty:
--
--   required        true: always; but not
--   unless          … when one of these sibling fields is there,
--   unless_option   … or when the source has this option (PROTOCOL: options)
--   with            required only when this sibling field is there
--   when            required only when the sibling `when[1]` is `when[2]`
--   default         JSON to write where the field is absent or null, an empty value is not
--   flag            when this field is there, the sibling `flag[1]` must have `flag[2] = true`

local text = { kind = "string" }
local date = { kind = "date" }
local url = { kind = "url", maximum = 2048 }
local strings = { kind = "array", of = text }

local function up_to(maximum)
  return { kind = "string", maximum = maximum }
end

local function choice(...)
  return { kind = "choice", choices = { ... } }
end

local function object(fields)
  return { kind = "object", fields = fields }
end

local function array(of, maximum)
  return { kind = "array", of = of, maximum = maximum }
end

local context_data = {
  kind = "map",
  word_keys = true,
  of = { kind = "one_or_many", of = text },
}

local format = choice("html", "text")
local body = up_to(20000)

local user = object {
  { "id", text, required = true },
  { "avatar_url", url },
  { "context_data", context_data },
  { "created_at", date, required = true },
  { "email", text },
  { "firstname", text },
  { "gender", choice("man", "woman") },
  { "home_phone", text },
  { "lastname", text },
  { "mobile_phone", text },
  { "puppetizable", { kind = "boolean" } },
  { "screenname", text, required = true },
  { "updated_at", date },
}

local attachment = object {
  { "url", url, required = true, unless = { "content" } },
  { "content", text },
  { "filename", text, with = "content" },
  { "type", choice("audio", "video") },
}
attachment.file = true

local select_item = object {
  { "title", up_to(80), required = true },
  { "payload", up_to(1000) },
}

local button = object {
  { "type", choice("url", "reply"), required = true },
  { "title", up_to(80), required = true },
  { "payload", up_to(1000) },
  { "url", url, when = { "type", "url" } },
}

--- The fields of a template, alone or as an item of a carousel.
local function template_fields(first, last)
  local fields = {
    { "title", up_to(350), required = true },
    { "subtitle", up_to(1000) },
    { "url", url },
    { "url_text", up_to(80) },
    { "attachment_url", url },
    { "items", array(button, 4) },
  }
  if first then
    table.insert(fields, 1, first)
  end
  fields[#fields + 1] = last
  return object(fields)
end

local tag = { "type", text, required = true }

local structured_content = {
  kind = "variant",
  tag = "type",
  of = {
    select = object { tag, { "items", array(select_item, 13), required = true } },
    rich_link = object {
      tag,
      { "url", url, required = true },
      { "title", up_to(350), required = true },
      { "subtitle", up_to(1000) },
      { "url_text", up_to(80) },
      { "attachment_url", url },
    },
    template = template_fields(tag),
    carousel = object {
      tag,
      {
        "items",
        array(template_fields(nil, { "attachment_fallback_id", text }), 10),
        required = true,
      },
    },
  },
}

--- A message and a private message differ only in what ties them to a conversation.
local function message_fields(conversation)
  return object {
    { "id", text, required = true },
    { "actions", strings },
    { "attachments", array(attachment) },
    { "author", user, required = true },
    { "body", body, required = true, unless = { "attachments" } },
    { "categories", strings },
    { "context_data", context_data },
    { "created_at", date },
    { "display_url", url },
    { "format", format },
    { "in_reply_to_id", text },
    { "ip", text },
    { "language", text },
    { "structured_content", structured_content, flag = { "author", "puppetizable" } },
    { "structured_reply", object { { "payload", text } } },
    conversation,
    { "updated_at", date },
  }
end

local thread = object {
  { "id", text, required = true },
  { "actions", strings },
  { "author", user, required = true, unless_option = "threads.no_content" },
  { "body", body, required = true, unless_option = "threads.no_content" },
  { "categories", strings },
  { "context_data", context_data },
  { "created_at", date },
  { "display_url", url },
  { "format", format },
  { "ip", text },
  { "title", text },
  { "updated_at", date },
}

--- Typing is for a thread or for a message; the message wins when both are there.
local function typing_fields(last)
  return object {
    { "thread_id", text, required = true, unless = { "in_reply_to_id" } },
    { "in_reply_to_id", text },
    last,
  }
end

return {
  message = message_fields {
    "thread_id",
    text,
    required = true,
    unless_option = "messages.unthreaded",
  },
  private_message = message_fields { "recipient", user, required = true },
  thread = thread,
  user = user,
  status = object { { "id", text, required = true } },
  typing_start = typing_fields { "preview", text, required = true },
  typing_stop = typing_fields(),
  attachment = attachment,
  structured_content = structured_content,
}
