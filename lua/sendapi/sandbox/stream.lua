-- luacheck: std ngx_lua
--- Requests that wait for something to happen: server-sent events, and messages to come.
local encode = require "sendapi.sandbox.encode"
local semaphore = require "ngx.semaphore"
local world = require "sendapi.sandbox.world"

local MOST_WAITING = 64
local HEARTBEAT_SECONDS = 15
local PAUSE_SECONDS = 0.03 -- in which events gather
local ENOUGH_BYTES = 131072 -- that wait for a client to read them, but for the last event

local stream = {}

local awake -- made when somebody first waits
local waiting = 0 -- for it
local open = 0 -- requests

local function wake()
  if waiting > 0 then
    awake:post(waiting)
    waiting = 0
  end
end

--- Waits until something has happened, at most some seconds.
local function wait(seconds)
  if not awake then
    awake = assert(semaphore.new())
  end
  world.events.wake = wake
  waiting = waiting + 1
  local happened = awake:wait(seconds)
  if not happened then
    waiting = math.max(waiting - 1, 0)
  end
  return happened
end

--- Runs something that waits; false: too many do so already.
local function admitted(work)
  if open >= MOST_WAITING then
    return false
  end
  open = open + 1
  local fine, message = pcall(work)
  open = open - 1
  if not fine then
    error(message, 0)
  end
  return true
end

--- The texts of the next events after a number, and the last one's number.
local function texts_after(number)
  local texts, bytes = {}, 0
  for i, event in ipairs(world.events:after(number)) do
    number = event.number
    texts[i] = ("id: %d\nevent: %s\ndata: %s\n\n"):format(
      number,
      event.name,
      encode.json(event.data())
    )
    bytes = bytes + #texts[i]
    if bytes >= ENOUGH_BYTES then
      break
    end
  end
  return texts, number
end

local function follow(number)
  local ok = ngx.print ": the sandbox\n\n" and ngx.flush(true)
  while ok and not ngx.worker.exiting() do
    local texts
    texts, number = texts_after(number)
    if #texts > 0 then
      ok = ngx.print(texts) and ngx.flush(true)
      ngx.sleep(PAUSE_SECONDS)
    elseif not wait(HEARTBEAT_SECONDS) then
      ok = ngx.print ": still here\n\n" and ngx.flush(true)
    end
  end
end

--- Sends events for as long as the client listens.
---@param after integer the number of the last event that it knows
---@return boolean admitted false: too many listen
function stream.events(after)
  local finished = false
  local function finish()
    if not finished then
      finished, open = true, open - 1
    end
  end
  if open >= MOST_WAITING then
    return false
  end
  open = open + 1
  ngx.on_abort(function()
    finish()
    ngx.exit(499)
  end)
  ngx.header["Content-Type"] = "text/event-stream"
  ngx.header["X-Accel-Buffering"] = "no"
  pcall(follow, after)
  finish()
  return true
end

--- Asks again whenever something has happened, until there is a result.
---@generic T
---@param ask fun(): T|nil
---@param seconds number at most
---@return T|nil
---@return boolean admitted false: too many wait
function stream.until_found(ask, seconds)
  local found = ask()
  if found or seconds <= 0 then
    return found, true
  end
  local is_admitted = admitted(function()
    local deadline = ngx.now() + seconds
    repeat
      wait(math.max(deadline - ngx.now(), 0.001))
      found = ask()
      ngx.sleep(0)
    until found or ngx.now() >= deadline
  end)
  return found, is_admitted
end

return stream
