--- Points in time, as people and programs write them.
local M = {}

local LAST = 253402300799 -- the year 9999

--- In UTC, to the second.
---@param time number seconds since 1970
---@return string
function M.text(time)
  if not (time >= 0 and time <= LAST) then
    return "?"
  end
  return os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(time))
end

local UNITS = { { 86400, "d" }, { 3600, "h" }, { 60, "min" }, { 1, "s" } }

--- How long it lasts, in its two largest units.
---@param seconds number
---@return string
function M.duration(seconds)
  if not (seconds >= 0 and seconds <= LAST) then
    return "?"
  end
  seconds = math.floor(seconds)
  for i, unit in ipairs(UNITS) do
    if seconds >= unit[1] and i < #UNITS then
      local rest = math.floor(seconds % unit[1] / UNITS[i + 1][1])
      return ("%d %s %d %s"):format(math.floor(seconds / unit[1]), unit[2], rest, UNITS[i + 1][2])
    end
  end
  return ("%d s"):format(seconds)
end

--- Days from 1970 to a date of our calendar, whose year begins in March here.
local function days_of(year, month, day)
  year = month > 2 and year or year - 1
  month = (month + 9) % 12
  return 365 * year
    + math.floor(year / 4)
    - math.floor(year / 100)
    + math.floor(year / 400)
    + math.floor((153 * month + 2) / 5)
    + day
    - 719469
end

local function time_of(year, month, day, hour, minute, second)
  if month < 1 or month > 12 or day < 1 or day > 31 then
    return nil
  elseif hour > 23 or minute > 59 or second > 59 then
    return nil
  end
  return ((days_of(year, month, day) * 24 + hour) * 60 + minute) * 60 + second
end

--- An argument that has to be a time: seconds since 1970, a day, or a second, in UTC.
---@param word string
---@return number|nil
---@return string|nil message
function M.read(word)
  if word:find "^%d+%.?%d*$" then
    return tonumber(word)
  end
  local day, clock = word:match "^(%d%d%d%d%-%d%d%-%d%d)(.*)$"
  local hour, minute, second = (clock or ""):match "^T(%d%d):(%d%d):(%d%d)Z$"
  local time
  if day and (hour or clock == "") then
    local year, month, number = day:match "^(%d+)%-(%d+)%-(%d+)$"
    time = time_of(
      tonumber(year),
      tonumber(month),
      tonumber(number),
      tonumber(hour or 0),
      tonumber(minute or 0),
      tonumber(second or 0)
    )
  end
  local example = "2026-01-31T23:59:59Z"
  return time, not time and ("expected a time such as %s, got '%s'"):format(example, word) or nil
end

return M
