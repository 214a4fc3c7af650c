--- Judges by a sandbox's record what became of messages that were confirmed.
--
-- Ids are STREAM:NUMBER, ascending within a stream: whoever sends in a stream has ended before the
-- next one begins. Order is that of a stream within a conversation.
local judge = {}

--- Messages that a deliverer may have sent without having noted their ends: it notes those of as
-- many as it has connections at once, while as many further ones are on their way, and as many may
-- have been answered together (deliverer.h). So many may come again when it is killed.
judge.in_flight = 3 * 8 -- the connections of `spec.support.sender`

---@class spec.Judge
---@field confirmed string[]
---@field arrived table<string, integer>  id -> how often
---@field arrivals integer                of different ids
---@field duplicates integer              further arrivals
---@field disorder string|nil             the first id whose first arrival was out of order
local Judge = {}
Judge.__index = Judge

---@param sandbox sendapi.sandbox.Host
---@return spec.Judge
function judge.new(sandbox)
  return setmetatable({
    sandbox = sandbox,
    confirmed = {},
    arrived = {},
    arrivals = 0,
    duplicates = 0,
    newest = {}, -- the number that arrived last, by stream and conversation
  }, Judge)
end

--- Takes down an id that was confirmed.
function Judge:confirm(id)
  self.confirmed[#self.confirmed + 1] = id
end

local function check_order(self, id, thread)
  local stream, number = id:match "^(.*):(%d+)$"
  local line = stream .. "/" .. thread
  number = tonumber(number)
  if number <= (self.newest[line] or 0) then
    self.disorder = self.disorder or id
  end
  self.newest[line] = number
end

--- Takes down what has arrived since, and has the sandbox forget it. Nothing may be under way.
function Judge:hear()
  for _, entry in ipairs(self.sandbox:received()) do
    local id = entry.params.id
    if self.arrived[id] then
      self.duplicates = self.duplicates + 1
    else
      self.arrivals = self.arrivals + 1
      check_order(self, id, entry.params.thread_id)
    end
    self.arrived[id] = (self.arrived[id] or 0) + 1
  end
  assert(self.sandbox:clear())
end

--- Confirmed ids that never arrived.
---@return string[]
function Judge:lost()
  local lost = {}
  for _, id in ipairs(self.confirmed) do
    lost[#lost + 1] = not self.arrived[id] and id or nil
  end
  return lost
end

return judge
