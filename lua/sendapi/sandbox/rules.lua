--- What the Send API answers to a request: every row of the error table.
--
-- Pure: no clock, no key, no network of its own. The checks go in a fixed order, and the first
-- one that fails gives the answer:
--
--   size           costs nothing, and bounds what all the others have to read
--   source         without it there is no token to check a signature with
--   signature      who cannot sign learns nothing about the rest
--   JSON           from here on the request is the source's own, and its mistakes are explained
--   format         `action` and `params` are there, a string and an object
--   action         decides what `params` must hold
--   resource       the required fields of `params`
--   structured     what only contents with `structured_content` must keep, in the table's order
--   typing         last, because a request refused for itself is not one too many
--
-- Null, an empty set, an empty string and an absent field all mean the same: missing. Extra fields
-- are ignored, and so are optional ones of the wrong type; a required one of the wrong type is
-- missing. An optional object that is there must have its own required fields.
local actions = require "sendapi.actions"
local json = require "sendapi.json"

local maximum_bytes = 20971520
local typing_interval = 2 -- seconds

---@class sendapi.sandbox.Source
---@field token string                          the access token, as it is
---@field options? string[]                     as in `implementation.info`
---@field actions? string[]|table<string, true> those it implements; all of them when absent
---@field typing? table<string, number>         thread or message -> time of its last `typing.start`
---@field fault? table                          see `sendapi.sandbox.faults`
---@field faults? table[]                       faults by probability: see `sendapi.sandbox.plan`
---@field seed? integer                         for these

---@class sendapi.sandbox.Request
---@field action string
---@field params table

---@class sendapi.sandbox.Context
---@field now number                                 seconds, any epoch
---@field sign fun(token: string, body: string): string lower-case hex HMAC-SHA512

local function refusal(status, text)
  return { status = status, text = text }
end

local refusals = {
  too_large = refusal(413, "Invalid request size (max: 20971520 bytes)"),
  unknown_source = refusal(422, "Source not found"),
  signature = refusal(422, "Invalid signature"),
  not_json = refusal(400, "Bad request"),
  format = refusal(400, "Invalid request format"),
  action = refusal(422, "Invalid action"),
  resource = refusal(422, "Invalid resource format"),
  no_structured = refusal(422, "Source doesn't support structured contents"),
  no_type = refusal(422, "Type is required for structured contents"),
  unknown_type = refusal(422, "Source doesn't support this type of structured content"),
  not_puppetizable = refusal(422, "The author must be puppetizable"),
  typing = refusal(429, "too many typing requests, please try again in a few seconds"),
}

local actions_by_name = {}
for _, action in ipairs(actions) do
  actions_by_name[action.name] = action
end

-- The JSON type a schema kind needs; a kind that is not here takes any.
local needed_types = {
  string = "string",
  date = "string",
  url = "string",
  choice = "string",
  boolean = "boolean",
  array = "array",
  map = "object",
  object = "object",
  variant = "object",
}

local any_text = { kind = "string" }
local any_object = { kind = "object" }

--- Whether a list holds `name`, or a set has it as a key.
local function contains(collection, name)
  if collection[name] then
    return true
  end
  for _, item in ipairs(collection) do
    if item == name then
      return true
    end
  end
  return false
end

local function is_empty(value)
  return value == nil
    or value == json.null
    or value == ""
    or (type(value) == "table" and next(value) == nil)
end

local function is_given(of, value)
  local needed = needed_types[of.kind]
  return not is_empty(value) and (needed == nil or needed == json.type(value))
end

local function is_field_given(object_type, object, name)
  for _, field in ipairs(object_type.fields) do
    if field[1] == name then
      return is_given(field[2], object[name])
    end
  end
  return false
end

--- Whether this object must have this field, by the words of `sendapi.schema`.
local function is_required(object_type, object, field, options)
  if field.with then
    return is_field_given(object_type, object, field.with)
  elseif field.when then
    return object[field.when[1]] == field.when[2]
  elseif not field.required then
    return false
  end
  for _, sibling in ipairs(field.unless or {}) do
    if is_field_given(object_type, object, sibling) then
      return false
    end
  end
  return not (field.unless_option and contains(options, field.unless_option))
end

local first_missing

local function first_missing_in_object(object_type, value, options)
  local object = json.type(value) == "object" and value or {}
  for _, field in ipairs(object_type.fields) do
    local name, of = field[1], field[2]
    local missing
    if is_given(of, object[name]) then
      missing = first_missing(of, object[name], options)
    elseif is_required(object_type, object, field, options) then
      missing = name
    end
    if missing then
      return missing
    end
  end
  return nil
end

--- The name of the first required field that `value` lacks, itself or inside; nil: it lacks none.
-- Goes no deeper than the schema. Variants are left to `structured_refusal`, which names their
-- mistakes.
function first_missing(of, value, options)
  if of.kind == "object" then
    return first_missing_in_object(of, value, options)
  elseif of.kind == "array" then
    for _, item in ipairs(value) do
      local missing = first_missing(of.of, item, options)
      if missing then
        return missing
      end
    end
  end
  return nil
end

--- Compares all the way, wherever the first difference is.
local function is_same_hex(expected, given)
  if type(given) ~= "string" or #given ~= #expected then
    return false
  end
  given = given:lower()
  local differences = 0
  for position = 1, #expected do
    if expected:byte(position) ~= given:byte(position) then
      differences = differences + 1
    end
  end
  return differences == 0
end

--- The checks that come before the body is read as JSON.
local function admission_refusal(source, body, signature, sign)
  if #body > maximum_bytes then
    return refusals.too_large
  elseif not source then
    return refusals.unknown_source
  elseif not is_same_hex(sign(source.token, body), signature) then
    return refusals.signature
  end
  return nil
end

---@return sendapi.sandbox.Request|nil
---@return table|nil refusal when there is no request
local function read_request(body)
  local is_json, request = json.decode(body)
  if not is_json then
    return nil, refusals.not_json
  end
  local is_well_formed = json.type(request) == "object"
    and is_given(any_text, request.action)
    and is_given(any_object, request.params)
  if not is_well_formed then
    return nil, refusals.format
  end
  return { action = request.action, params = request.params }
end

local function find_variant_field(object_type)
  for _, field in ipairs(object_type.fields) do
    if field[2].kind == "variant" then
      return field
    end
  end
  return nil
end

local function is_flag_set(flag, params)
  local object = params[flag[1]]
  return type(object) == "table" and object[flag[2]] == true
end

--- What is wrong with the structured content of `params`, in the order of the error table.
local function structured_refusal(object_type, params, options)
  local field = find_variant_field(object_type)
  local content = field and params[field[1]]
  if is_empty(content) then
    return nil
  elseif not contains(options, "view.messaging") then
    return refusals.no_structured
  end
  local variant = field[2]
  local tag = json.type(content) == "object" and content[variant.tag] or nil
  if is_empty(tag) then
    return refusals.no_type
  elseif not variant.of[tag] then
    return refusals.unknown_type
  end
  local missing = first_missing(variant.of[tag], content, options)
  if missing then
    return refusal(422, ('%s: "%s" must not be empty'):format(field[1], missing))
  elseif field.flag and not is_flag_set(field.flag, params) then
    return refusals.not_puppetizable
  end
  return nil
end

--- Typing is counted per message when one is named, else per thread.
local function typing_key(params)
  if is_given(any_text, params.in_reply_to_id) then
    return params.in_reply_to_id
  end
  return params.thread_id
end

local function is_typing_too_soon(source, request, now)
  local last = source.typing and source.typing[typing_key(request.params)]
  local elapsed = last and now - last
  return elapsed and elapsed >= 0 and elapsed < typing_interval
end

--- What is wrong with a request that is the source's own; nil: nothing.
local function request_refusal(source, request, now)
  local action = actions_by_name[request.action]
  local is_implemented = not source.actions or contains(source.actions, request.action)
  if not (action and is_implemented) then
    return refusals.action
  end
  local options = source.options or {}
  if first_missing(action.schema, request.params, options) then
    return refusals.resource
  end
  local structured = structured_refusal(action.schema, request.params, options)
  if structured then
    return structured
  elseif request.action == "typing.start" and is_typing_too_soon(source, request, now) then
    return refusals.typing
  end
  return nil
end

local rules = {
  maximum_bytes = maximum_bytes,
  --- What is said of a signature that is wrong.
  wrong_signature = refusals.signature.text,
}

--- Answers a request as the Send API would. Changes nothing, and raises no error whatever the body.
---@param sources table<string, sendapi.sandbox.Source>
---@param source_id? string    from the request's path
---@param body string          the exact bytes
---@param signature? string    hex, in either case
---@param context sendapi.sandbox.Context
---@return integer status      of HTTP; 200 when accepted
---@return string text         the whole answer
---@return sendapi.sandbox.Request|nil request when the body holds one, accepted or not
function rules.answer(sources, source_id, body, signature, context)
  local source = sources[source_id]
  local refused = admission_refusal(source, body, signature, context.sign)
  local request
  if not refused then
    request, refused = read_request(body)
  end
  if request then
    refused = request_refusal(source, request, context.now)
  end
  if refused then
    return refused.status, refused.text, request
  end
  return 200, "ok", request
end

--- Notes in the source what an accepted request means for the ones after it.
---@param source sendapi.sandbox.Source
---@param request sendapi.sandbox.Request
---@param now number seconds, of the same epoch as `context.now`
function rules.remember(source, request, now)
  if request.action == "typing.start" then
    source.typing = source.typing or {}
    source.typing[typing_key(request.params)] = now
  elseif request.action == "typing.stop" and source.typing then
    source.typing[typing_key(request.params)] = nil
  end
end

--- Forgets what means nothing any more, so that a source does not grow.
---@param source sendapi.sandbox.Source
---@param now number of the same epoch as above
function rules.tidy(source, now)
  for key, last in pairs(source.typing or {}) do
    if now - last >= typing_interval then
      source.typing[key] = nil
    end
  end
end

return rules
