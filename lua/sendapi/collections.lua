--- What Lua's tables lack, used as lists and as sets.
local M = {}

---@param list any[]
---@param item any
---@return boolean
function M.contains(list, item)
  for _, other in ipairs(list) do
    if other == item then
      return true
    end
  end
  return false
end

--- How many keys a table has.
---@param set table
---@return integer
function M.count(set)
  local number = 0
  for _ in pairs(set) do
    number = number + 1
  end
  return number
end

return M
