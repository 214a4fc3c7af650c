--- What specs encode: params that are right, and the core asked about them.
local actions = require "sendapi.actions"
local core = require "sendapi.core"

local encoding = {}

local schema_of = {}
for _, action in ipairs(actions) do
  schema_of[action.name] = action.schema
end

--- In the place of a value: takes the field away.
encoding.NONE = {}

local function changed(base, changes)
  for name, value in pairs(changes or {}) do
    if rawequal(value, encoding.NONE) then
      value = nil
    end
    base[name] = value
  end
  return base
end

--- Right params with some fields changed.
---@param changes? table
function encoding.user(changes)
  return changed({ id = "3", screenname = "s", created_at = "d" }, changes)
end

--- A user that may be the author of structured contents.
function encoding.agent(changes)
  return changed(encoding.user { puppetizable = true }, changes)
end

function encoding.message(changes)
  local base = { id = "1", thread_id = "2", body = "b", author = encoding.user() }
  return changed(base, changes)
end

function encoding.private_message(changes)
  local base = { id = "1", body = "b", author = encoding.user(), recipient = encoding.user() }
  return changed(base, changes)
end

function encoding.thread(changes)
  return changed({ id = "1", body = "b", author = encoding.user() }, changes)
end

--- A message whose author may send this structured content.
function encoding.structured(content, changes)
  local message = encoding.message { author = encoding.agent(), structured_content = content }
  return changed(message, changes)
end

--- How `encoding.message` is written, before and after the fields between `body` and `thread_id`.
encoding.HEAD = '{"action":"messages.create","params":{"id":"1",'
  .. '"author":{"id":"3","created_at":"d","screenname":"s"},"body":"b"'
encoding.TAIL = ',"thread_id":"2"'
encoding.END = "}}"

--- The compiled schema of an action.
---@param action string
---@param options? { source_options?: string[], extra_fields?: boolean }
function encoding.schema(action, options)
  options = options or {}
  return core.compile(assert(schema_of[action], action), {
    action = action,
    source_options = options.source_options,
    extra_fields = options.extra_fields,
  })
end

--- The bytes of a request, or nil and the first problem.
function encoding.encode(action, params, options)
  return encoding.schema(action, options):encode(params)
end

--- The bytes of a request that has to be right.
function encoding.bytes(action, params, options)
  local bytes, problem = encoding.encode(action, params, options)
  return bytes or error(problem.message, 2)
end

--- The problem of a request that has to be wrong.
---@return { code: string, field: string, message: string, severity: string }
function encoding.problem(action, params, options)
  local bytes, problem = encoding.encode(action, params, options)
  if bytes then
    error("it was accepted: " .. bytes:sub(1, 500), 2)
  end
  return problem
end

--- A problem in one line, without the code.
function encoding.described(problem)
  assert(problem.message:sub(1, #problem.field + 2) == problem.field .. ": ", problem.message)
  return problem.message
end

return encoding
