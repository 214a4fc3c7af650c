--- First in, first out; costs nothing but its items.
local M = {}

---@return { first: integer, last: integer }
function M.new()
  return { first = 1, last = 0 }
end

function M.push(queue, item)
  queue.last = queue.last + 1
  queue[queue.last] = item
end

--- The next item, or nil.
function M.pop(queue)
  local first = queue.first
  if first > queue.last then
    return nil
  end
  local item = queue[first]
  queue[first] = nil
  queue.first = first + 1
  return item
end

function M.length(queue)
  return queue.last - queue.first + 1
end

function M.is_empty(queue)
  return queue.first > queue.last
end

return M
