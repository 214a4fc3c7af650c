--- What a handler returned, as the bytes that answer the request.
local core = require "sendapi.core"
local log = require "sendapi.log"
local schema = require "sendapi.schema"

local M = {}

-- What is said of a failure whose cause is nobody else's business.
local GENERIC = "The connector could not handle the request."
local EMPTY = "{}"

local failure_schema = core.compile({
  kind = "object",
  fields = {
    {
      "error",
      {
        kind = "object",
        fields = { { "fatal", { kind = "boolean" } }, { "message", { kind = "string" } } },
      },
    },
  },
}, { name = "answer" })

local object_types = {
  messages = schema.message,
  private_messages = schema.private_message,
  threads = schema.thread,
}

local function copy_of(field)
  local copy = {}
  for name, value in pairs(field) do
    copy[name] = value
  end
  return copy
end

--- Of what a create answers only the id has to be there; what else is there is checked.
local function relaxed(field)
  return { field[1], field[2], required = field[1] == "id", flag = field.flag }
end

--- The objects of an operation: where one says nothing of its actions, it has those of its kind.
local function object_type_of(operation)
  local fields = {}
  for i, field in ipairs(object_types[operation.object].fields) do
    fields[i] = operation.kind == "create" and relaxed(field) or copy_of(field)
    if field[1] == "actions" and #operation.actions > 0 then
      fields[i].default = assert(core.compile(field[2]):encode(operation.actions))
    end
  end
  return { kind = "object", fields = fields }
end

local function type_of(operation)
  local object_type = object_type_of(operation)
  return operation.kind == "list" and { kind = "array", of = object_type } or object_type
end

--- Prepares an operation for `make`, once.
---@param operation sendapi.connector.Operation gets `schema`
---@param settings { source_options: string[], extra_fields: boolean? }
function M.prepare(operation, settings)
  if operation.kind == "queuing_update" then
    return
  end
  operation.schema = core.compile(type_of(operation), {
    name = "answer",
    source_options = settings.source_options,
    extra_fields = settings.extra_fields,
  })
end

--- A resource error: Engage Digital tries again unless it is fatal.
---@param signer userdata
---@param message any a text; of anything else a generic one is made
---@param fatal boolean|nil
---@return string bytes
---@return string signature
---@return boolean is_generic
function M.failure(signer, message, fatal)
  local is_text = type(message) == "string" and message ~= ""
  local failure = { error = { fatal = fatal or false, message = is_text and message or GENERIC } }
  local bytes, signature = failure_schema:encode(failure, signer)
  if not bytes then
    return M.failure(signer, nil, fatal) -- the text is no UTF-8, or too large
  end
  return bytes, signature, not is_text
end

--- What a handler returned as its second value: a text, or a table with `message` and `fatal`.
local function resource_error(operation, problem, signer, report)
  local message, fatal = problem, false
  if type(problem) == "table" then
    message, fatal = rawget(problem, "message"), rawget(problem, "fatal") == true
  end
  local bytes, signature, is_generic = M.failure(signer, message, fatal)
  if is_generic then
    report("warn", ("connector: %s: its error has no text that can be sent"):format(operation.name))
  end
  return bytes, signature
end

local function is_absent(value)
  return value == nil or value == false or (type(value) == "table" and next(value) == nil)
end

--- What the handler returned without an error; nil and what is wrong with it otherwise.
local function written(operation, value, signer)
  local kind = operation.kind
  if kind == "queuing_update" or (kind == "show" and is_absent(value)) then
    return EMPTY, signer:sign(EMPTY)
  elseif value == nil or value == false then
    return nil, "its handler returned nothing"
  end
  local bytes, signature = operation.schema:encode(value, signer)
  if not bytes then
    return nil, signature.message
  end
  return bytes, signature
end

--- For xpcall: what was raised, and where.
local function traced(problem)
  return debug.traceback(log.text(problem), 2)
end

--- Calls the handler and writes what it returned. A handler may yield; where Lua's own xpcall
-- cannot be yielded across (Lua 5.1), doing so is an error like another.
---@param operation sendapi.connector.Operation
---@param request sendapi.ConnectorRequest
---@param signer userdata
---@param report fun(level: string, message: string)
---@return string bytes
---@return string signature
---@return boolean succeeded false: it is a resource error
function M.make(operation, request, signer, report)
  local fine, value, problem = xpcall(function()
    return operation.handler(request.params, request)
  end, traced)
  if not fine then
    report(
      "error",
      ("connector: %s: its handler raised: %s"):format(operation.name, log.text(value))
    )
    local bytes, signature = M.failure(signer)
    return bytes, signature, false
  elseif not value and problem ~= nil then
    local bytes, signature = resource_error(operation, problem, signer, report)
    return bytes, signature, false
  end
  local bytes, signature = written(operation, value, signer)
  if not bytes then
    report("error", ("connector: %s: %s"):format(operation.name, signature))
    bytes, signature = M.failure(signer)
    return bytes, signature, false
  end
  return bytes, signature, true
end

return M
