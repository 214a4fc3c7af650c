--- What every object that a connector answers must be.
local core = require "sendapi.core"
local reader = require "sendapi.check.reader"
local schema = require "sendapi.schema"
local session_of = require "sendapi.check.session"

local fail = session_of.fail

local SHOWN = 3 -- problems of one object in a sentence

local types = {
  messages = schema.message,
  private_messages = schema.private_message,
  threads = schema.thread,
}

local M = {}

--- An id as text; nil when it is none.
---@return string|nil
function M.id_of(object)
  local id = reader.is_object(object) and object.id
  if type(id) == "number" then
    return id % 1 == 0 and ("%.0f"):format(id) or tostring(id)
  end
  return type(id) == "string" and id ~= "" and id or nil
end

--- Fails unless it is an object with an id.
---@param path string what the sentence calls it
---@return string id
function M.expect_id(path, object)
  local id = M.id_of(object)
  if not id then
    local got = reader.is_object(object) and reader.describe(object.id) .. " as its id"
      or reader.describe(object)
    fail("%s: expected an object whose id is a string that is not empty, got %s.", path, got)
  end
  return id
end

local function problem_of_dates(path, object)
  for _, name in ipairs { "created_at", "updated_at" } do
    if type(object[name]) == "number" then
      local sentence = "%s.%s: expected ISO 8601 such as 2012-10-01T17:18:40Z, got a number"
      return sentence:format(path, name)
    end
  end
end

--- Fails unless the object has the fields that its kind must have, and those it has are right.
-- Fields that the schema does not know are allowed, as Engage Digital allows them.
---@param context sendapi.check.Context
---@param kind string `messages`, `private_messages` or `threads`
---@param path string
function M.expect_whole(context, kind, path, object)
  M.expect_id(path, object)
  local compiled = core.compile(types[kind], {
    name = path,
    extra_fields = true,
    source_options = context.info.options,
  })
  local _, problems = compiled:validate(object)
  local messages = { problem_of_dates(path, object) }
  for _, problem in ipairs(problems) do
    if problem.severity == "error" and #messages < SHOWN then
      messages[#messages + 1] = problem.message
    end
  end
  if #messages > 0 then
    fail("%s. See the fields of %s in the documents.", table.concat(messages, "; "), kind)
  end
end

return M
