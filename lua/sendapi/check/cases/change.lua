--- What an agent's buttons answer: delete, publish, unpublish and custom actions. They are pressed
-- only on what this run has created.
local objects = require "sendapi.check.objects"
local session_of = require "sendapi.check.session"

local fail, skip = session_of.fail, session_of.skip

local ASKED_OTHERWISE = { create = true, list = true, show = true, reply = true }

--- The case of one operation.
local function changes(operation)
  return function(context, kind)
    local created = context.created[kind] or skip "It takes an object that this run has created."
    local params = { id = created.id, user_id = "check" }
    local object = context.session:ask_well(kind .. "." .. operation, params)
    objects.expect_whole(context, kind, "The answer", object)
    if objects.id_of(object) ~= created.id then
      local sentence = "Asked to change the object %s it answers another, %s. Answer the whole "
        .. "object as it is now."
      fail(sentence, created.id, objects.id_of(object))
    end
  end
end

local M = {}

--- The operations of a list that change an object, what removes it last.
---@param operations string[]
---@return { operation: string, cases: table, writes: true }[]
function M.themes(operations)
  local themes, last = {}, nil
  for _, operation in ipairs(operations) do
    local theme = {
      operation = operation,
      cases = { { "answers the whole object", changes(operation) } },
      writes = true,
    }
    if operation == "delete" then
      last = theme
    elseif not ASKED_OTHERWISE[operation] then
      themes[#themes + 1] = theme
    end
  end
  themes[#themes + 1] = last
  return themes
end

return M
