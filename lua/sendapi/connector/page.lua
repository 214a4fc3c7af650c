--- The rule by which a `list` answers.
local M = {}

local LARGEST_EXACT = 2 ^ 53

--- An id as Engage Digital knows it: text; a whole number becomes its decimal digits.
local function text_of(id)
  if type(id) == "number" and id % 1 == 0 and id < LARGEST_EXACT and id > -LARGEST_EXACT then
    return ("%d"):format(id)
  elseif type(id) == "string" or type(id) == "number" then
    return tostring(id)
  end
end

local function is_finite(number)
  return number == number and number ~= math.huge and number ~= -math.huge
end

local function complaint(items, since_id, limit)
  if type(items) ~= "table" then
    return ("items: expected a sequence of objects, got a %s"):format(type(items))
  elseif since_id ~= nil and not text_of(since_id) then
    return ("since_id: expected a string or a number, got a %s"):format(type(since_id))
  elseif limit ~= nil and type(limit) ~= "number" then
    return ("limit: expected a number, got a %s"):format(type(limit))
  elseif limit and not (is_finite(limit) and limit >= 1 and limit % 1 == 0) then
    return "limit: expected a whole number of at least 1"
  end
end

--- The items without those whose id was there before, and the place of `since_id` among them: 0
-- when it is not there.
local function distinct(items, since_id)
  local kept, seen, place = {}, {}, 0
  for i, item in ipairs(items) do
    local id = type(item) == "table" and text_of(item.id)
    if not id then
      return nil, ("items[%d]: expected an object with an id"):format(i)
    end
    if not seen[id] then
      seen[id] = true
      kept[#kept + 1] = item
      place = id == since_id and #kept or place
    end
  end
  return kept, place
end

--- What `list` answers: the objects after `since_id`, newest first; with a limit the *oldest* ones
-- of them, still newest first, so that the next request goes on where this answer ends.
--
-- Ids need not ascend, only the order of the items counts. An item whose id was there before is
-- passed over. When `since_id` is not among them (it was deleted, say), everything is new: Engage
-- Digital knows by the ids what it has already.
--
--     list = function(params)
--       return sendapi.page(posts, params.since_id, 100)
--     end
---@generic T: { id: sendapi.Text }
---@param items T[] oldest first, as one appends them; left as they are
---@param since_id sendapi.Text|nil nil or "": from the beginning
---@param limit integer|nil at least 1; nil: all of them
---@return T[] a new sequence
function M.page(items, since_id, limit)
  local message = complaint(items, since_id, limit)
  local kept, place
  if not message then
    kept, place = distinct(items, since_id ~= nil and text_of(since_id))
    message = not kept and place
  end
  if message then
    error("sendapi.page: " .. message, 2)
  end
  local last = math.min(#kept, place + (limit or #kept))
  local page = {}
  for i = last, place + 1, -1 do
    page[#page + 1] = kept[i]
  end
  return page
end

return M
