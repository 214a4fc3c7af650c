--- What a request asks for, or why it is refused.
local json = require "sendapi.json"

local M = {
  --- Bytes of the largest body that is read.
  maximum_bytes = 20971520,
}

local function refusal(status, text)
  return { status = status, text = text }
end

---@class sendapi.connector.Refusal
---@field status integer of HTTP
---@field text string the whole answer

---@type table<string, sendapi.connector.Refusal>
M.refusals = {
  too_large = refusal(413, "Request too large"),
  signature = refusal(403, "Invalid signature"),
  not_json = refusal(400, "Bad request"),
  format = refusal(400, "Invalid request format"),
  action = refusal(422, "Invalid action"),
  resource = refusal(422, "Invalid resource format"),
}

local refusals = M.refusals

local LARGEST_EXACT = 2 ^ 53 -- from here on a whole number may be what became of another one

local function is_exact(number)
  return number > -LARGEST_EXACT and number < LARGEST_EXACT
end

local to_integer = rawget(math, "tointeger")

--- Lua 5.3 and later print a whole number that is a float as `3.0`, and lua-cjson makes floats.
local function whole(number)
  return to_integer and is_exact(number) and to_integer(number) or number
end

--- A copy of a decoded value without its nulls: absent fields, and items that others close up to.
local function plain(value)
  if type(value) == "number" then
    return whole(value)
  elseif type(value) ~= "table" then
    return value
  end
  local copy = {}
  if json.type(value) == "array" then
    for _, item in ipairs(value) do
      if item ~= json.null then
        copy[#copy + 1] = plain(item)
      end
    end
    return copy
  end
  for name, item in next, value do
    if item ~= json.null then
      copy[name] = plain(item)
    end
  end
  return copy
end

local function is_text_or_number(value)
  return type(value) == "string" or (type(value) == "number" and is_exact(value))
end

local function is_id(value)
  return value ~= "" and is_text_or_number(value)
end

local function is_since_id(value)
  return value == nil or is_text_or_number(value)
end

-- What an operation's kind asks of the params.
local complaints = {
  list = function(params)
    return not is_since_id(params.since_id) and "params.since_id is no string or exact number"
  end,
  show = function(params)
    return not is_id(params.id) and "params.id is missing, or no string or exact number"
  end,
}
complaints.change = complaints.show

--- The action and the params of a body; or nil, the refusal and the reason.
local function parts_of(body)
  local is_json, given = json.decode_unambiguous(body)
  if not is_json then
    return nil, refusals.not_json, given
  elseif json.type(given) ~= "object" then
    return nil, refusals.format, "it is no object"
  elseif type(given.action) ~= "string" then
    return nil, refusals.format, "its action is missing, or no string"
  end
  local params = given.params
  if params == nil or params == json.null then
    params = {}
  elseif json.type(params) ~= "object" then
    return nil, refusals.format, "its params are no object"
  end
  return {
    action = given.action,
    time = type(given.time) == "string" and given.time or nil,
    params = params,
  }
end

--- Reads the request and finds its operation. Raises nothing, whatever the body.
---@generic T: { kind: string }
---@param operations table<string, T> by the action's name
---@param body string
---@return sendapi.ConnectorRequest|nil
---@return T|sendapi.connector.Refusal operation or, without a request, the refusal
---@return string|nil reason for the log; quotes nothing of the body
function M.read(operations, body)
  local request, refused, reason = parts_of(body)
  if not request then
    return nil, refused, reason
  end
  local operation = operations[request.action]
  if not operation then
    return nil, refusals.action, "its action is not implemented"
  end
  request.object, request.operation = operation.object, operation.operation
  request.params = plain(request.params)
  local complaint = complaints[operation.kind]
  reason = complaint and complaint(request.params)
  if reason then
    return nil, refusals.resource, ("%s: %s"):format(request.action, reason)
  end
  return request, operation
end

return M
