--- What the server's rule for typing means here: at most one
-- `typing.start` per thread every two seconds; `typing.stop` resets that.
--
-- A start that comes too early is not sent: the server would refuse it, and it says nothing new.
local M = {}

local INTERVAL = 2 -- seconds
local KEPT = 1000 -- threads; beyond them those whose time is over are forgotten

---@class sendapi.TypingTimes
---@field count integer
---@field at table<string, number> when a thread's last start was sent

---@return sendapi.TypingTimes
function M.new()
  return { count = 0, at = {} }
end

--- Whether an action is a start that comes too early.
---@param times sendapi.TypingTimes
---@param action string
---@param thread string
---@param now number seconds of a clock that never jumps
---@return boolean
function M.is_early(times, action, thread, now)
  local last = times.at[thread]
  return action == "typing.start" and last ~= nil and now - last < INTERVAL
end

local function set(times, thread, at)
  times.count = times.count + (at and 1 or 0) - (times.at[thread] and 1 or 0)
  times.at[thread] = at
end

local function forget_old(times, now)
  for thread, at in pairs(times.at) do
    if now - at >= INTERVAL then
      set(times, thread, nil)
    end
  end
end

--- Notes that an action was sent.
function M.note(times, action, thread, now)
  set(times, thread, action == "typing.start" and now or nil)
  if times.count > KEPT then
    forget_old(times, now)
  end
end

return M
