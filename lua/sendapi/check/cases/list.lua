--- What `list` answers, page by page.
local objects = require "sendapi.check.objects"
local reader = require "sendapi.check.reader"
local session_of = require "sendapi.check.session"

local fail, skip = session_of.fail, session_of.skip

local MOST_PAGES = 20 -- read of one list
-- What nobody has as an id, with all that breaks queries that are put together from text.
local UNKNOWN = "check-unknown-'\"\\;%_"

---@class sendapi.check.Listed
---@field pages table[][] each newest first
---@field exchanges sendapi.check.Exchange[] what each page came by
---@field places table<string, integer> of each id in the order
---@field order string[] ids, oldest first
---@field newest string|nil
---@field is_sound boolean|nil whether paging went well

local function ask(context, kind, since_id)
  local value = context.session:ask_well(kind .. ".list", since_id and { since_id = since_id })
  if not reader.is_array(value) then
    local sentence = "Expected an array of objects, [] when there is none, got %s."
    fail(sentence, reader.describe(value))
  end
  local seen = {}
  for i, object in ipairs(value) do
    local id = objects.expect_id(("[%d]"):format(i), object)
    if seen[id] then
      fail("The id %s is there twice in one answer. Every object has an id of its own.", id)
    end
    seen[id] = true
  end
  return value
end

-- Dates of one form, in UTC, are in order as texts are.
local function date_of(object)
  local date = object.created_at
  return type(date) == "string" and date:match "^%d%d%d%d%-%d%d%-%d%dT%d%d:%d%d:%d%dZ$" or nil
end

local function expect_newest_first(page)
  for i = 2, #page do
    local newer, older = date_of(page[i - 1]), date_of(page[i])
    if newer and older and newer < older then
      local sentence = "[%d] was created at %s, before [%d] at %s. Answer the newest first."
      fail(sentence, i - 1, newer, i, older)
    end
  end
end

--- The next page must be newer than what came before it, and new.
local function expect_newer(listed, page, since_id)
  for i, object in ipairs(page) do
    if listed.places[objects.id_of(object)] then
      local sentence = "With since_id %s it answers again what was answered before: [%d] has the "
        .. "id %s. Answer only what came after the object with that id."
      fail(sentence, since_id, i, objects.id_of(object))
    end
  end
  local before, now = listed.pages[#listed.pages], page
  local newest, oldest = before[1] and date_of(before[1]), now[#now] and date_of(now[#now])
  if newest and oldest and oldest < newest then
    local sentence = "With since_id %s, whose object was created at %s, it answers an object "
      .. "created at %s. Answer what is newer; when the number is limited, the oldest of it first."
    fail(sentence, since_id, newest, oldest)
  end
end

local function take(context, listed, page)
  listed.pages[#listed.pages + 1] = page
  listed.exchanges[#listed.pages] = context.session.last
  for i = #page, 1, -1 do
    local id = objects.id_of(page[i])
    listed.order[#listed.order + 1] = id
    listed.places[id] = #listed.order
  end
  listed.newest = page[1] and objects.id_of(page[1]) or listed.newest
end

local function needs_list(context, kind)
  return context.listed[kind] or skip "The list could not be read."
end

local function needs_objects(context, kind)
  local listed = needs_list(context, kind)
  return #listed.order > 0 and listed or skip "The list is empty."
end

local function begin(context, kind)
  local listed = { pages = {}, exchanges = {}, order = {}, places = {} }
  local page = ask(context, kind, context.settings.since)
  take(context, listed, page)
  context.listed[kind] = listed
end

local function goes_on(context, kind)
  local listed = needs_objects(context, kind)
  for _ = 2, MOST_PAGES do
    local since_id = listed.newest
    local page = ask(context, kind, since_id)
    expect_newer(listed, page, since_id)
    if #page == 0 then
      break
    end
    take(context, listed, page)
  end
  listed.is_sound = true
end

local function is_ordered(context, kind)
  local listed = needs_objects(context, kind)
  for i, page in ipairs(listed.pages) do
    context.session.last = listed.exchanges[i]
    expect_newest_first(page)
  end
end

--- From an object in the midst of what is known, the next one must not be passed over.
local function begins_with_the_oldest(context, kind)
  local listed = needs_objects(context, kind)
  if not listed.is_sound or #listed.order < 3 then
    skip "It takes a sound list of at least three objects."
  end
  local since_id, expected = listed.order[1], listed.order[2]
  local page = ask(context, kind, since_id)
  local oldest = page[#page] and objects.id_of(page[#page])
  if oldest ~= expected then
    local sentence = "With since_id %s the oldest object of the answer is %s; it would have to be "
      .. "%s. When the number is limited, answer the oldest ones after since_id, newest first: "
      .. "what is passed over is lost."
    fail(sentence, since_id, oldest or "none", expected)
  end
end

local function bears_an_unknown_since_id(context, kind)
  needs_list(context, kind)
  local session = context.session
  local body = session_of.request(kind .. ".list", { since_id = UNKNOWN })
  local exchange = session:get_answer(body, session:sign(body))
  local is_json, value = reader.read(exchange.body)
  local fine = session_of.is_success(exchange) and is_json and reader.is_array(value)
  if not fine then
    local sentence = "An unknown since_id was not answered by an array. Its object may have been "
      .. "deleted since: answer as without since_id, or []. Never put an id into a query as text."
    fail(sentence)
  end
end

local function is_whole(context, kind)
  local listed = needs_objects(context, kind)
  for number, page in ipairs(listed.pages) do
    context.session.last = listed.exchanges[number]
    for i, object in ipairs(page) do
      objects.expect_whole(context, kind, ("[%d]"):format(i), object)
    end
  end
end

local cases = {
  { "an array of objects with ids of their own", begin },
  { "newest first", is_ordered },
  { "goes on after since_id with what is newer, to the end", goes_on },
  { "when limited, the oldest after since_id", begins_with_the_oldest },
  { "an unknown since_id is no error", bears_an_unknown_since_id },
  { "its objects are whole", is_whole },
}

return { operation = "list", cases = cases }
