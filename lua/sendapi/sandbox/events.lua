--- What happened, numbered, for those who follow it: the newest events are kept.
--
-- Pure. An event's data is made when somebody asks for it, of what its subjects are by then: so an
-- event that nobody follows costs next to nothing.
local events = {}

local MOST = 1000

---@class sendapi.sandbox.Event
---@field number integer
---@field name string
---@field data fun(): table what it is about, as it is now

---@class sendapi.sandbox.Events
---@field last integer the number of the newest event; 0: there was none
---@field private ring table<integer, table>
local Events = {}
Events.__index = Events

---@param settings { limit: integer?, wake: fun()? }|nil `limit` events are kept (1,000); `wake` is
--- called after each
---@return sendapi.sandbox.Events
function events.new(settings)
  settings = settings or {}
  return setmetatable({
    last = 0,
    ring = {},
    limit = settings.limit or MOST,
    wake = settings.wake,
  }, Events)
end

--- Notes an event. Its data is what `make` gives of the subjects.
---@param name string
---@param make fun(one: any, other: any): table
---@param one any|nil
---@param other any|nil
function Events:add(name, make, one, other)
  local number = self.last + 1
  self.last = number
  local slot = number % self.limit
  local event = self.ring[slot]
  if not event then
    event = { number = 0, name = "", make = make, one = one, other = other }
    self.ring[slot] = event
  end
  event.number, event.name, event.make = number, name, make
  event.one, event.other = one, other
  if self.wake then
    self.wake()
  end
end

--- The events after this one, oldest first. Those that are kept no longer are missing: the first
-- number then is not the next one. A number that was not reached yet gives everything there is.
---@param number integer
---@return sendapi.sandbox.Event[]
function Events:after(number)
  if number > self.last then
    number = 0
  end
  local found = {}
  for wanted = math.max(number, self.last - self.limit) + 1, self.last do
    local event = self.ring[wanted % self.limit]
    local make, one, other = event.make, event.one, event.other -- the slot is used again
    found[#found + 1] = {
      number = event.number,
      name = event.name,
      data = function()
        return make(one, other)
      end,
    }
  end
  return found
end

return events
