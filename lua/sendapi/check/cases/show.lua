--- What `show` answers.
local objects = require "sendapi.check.objects"
local reader = require "sendapi.check.reader"
local session_of = require "sendapi.check.session"

local fail, skip = session_of.fail, session_of.skip

local UNKNOWN = "check-unknown-'\"\\;%_"

-- What one object cannot have twice, whoever says it.
local FIXED = { "body", "thread_id", "created_at" }

--- An object that the connector has, as far as it is known.
local function known_object(context, kind)
  local listed, created = context.listed[kind], context.created[kind]
  local page = listed and listed.pages[#listed.pages]
  return page and page[1] or created and { id = created.id }
end

local function expect_same(listed, shown)
  for _, name in ipairs(FIXED) do
    local one, other = listed[name], shown[name]
    if type(one) == "string" and type(other) == "string" and one ~= other then
      fail("The %s of the answer is not the one that list gives. Answer the same object.", name)
    end
  end
end

local function shows_what_is_there(context, kind)
  local known = known_object(context, kind) or skip "No object is known."
  local id = objects.id_of(known)
  local object = context.session:ask_well(kind .. ".show", { id = id })
  objects.expect_whole(context, kind, "The answer", object)
  if objects.id_of(object) ~= id then
    local sentence = "Asked for the object %s it answers another, %s. Answer that with this id."
    fail(sentence, id, objects.id_of(object))
  end
  expect_same(known, object)
end

--- Refusing it by a status of the 4xx is as good as saying nothing.
local function knows_nothing_else(context, kind)
  local session = context.session
  local body = session_of.request(kind .. ".show", { id = UNKNOWN })
  local exchange = session:get_answer(body, session:sign(body))
  if exchange.status >= 400 and exchange.status <= 499 then
    return
  end
  local is_json, value = reader.read(exchange.body)
  local is_fine = session_of.is_success(exchange)
    and is_json
    and reader.is_object(value)
    and (next(value) == nil or session_of.resource_error(value))
  if not is_fine then
    local sentence = "An unknown id was not answered by {}. Answer {} when there is no such "
      .. "object, never another one, [] or an error of the server."
    fail(sentence)
  end
end

local cases = {
  { "answers the object that was asked for", shows_what_is_there },
  { "an unknown id is answered by {}", knows_nothing_else },
}

return { operation = "show", cases = cases }
