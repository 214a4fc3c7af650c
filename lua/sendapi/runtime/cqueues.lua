--- How a coroutine of a cqueues controller waits: others run until the engine's descriptor is
-- readable. (runtime/init.lua says what is promised.)
--
-- In each controller that made a call a coroutine of ours, the pump, takes answers for everybody.
-- It lives as long as there is anything to wait for, and so does the loop. Outside of controllers a
-- call with a function is accepted; `poll` calls it, or the pump that a later call starts.
local blocking = require "sendapi.runtime.blocking"
local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local engine = require "sendapi.engine"

local M = {}

local LOOK = 1 -- seconds after which a pump looks whether answers were taken behind its back
local SHORT = 0.01 -- seconds between two looks of a coroutine that flushes

local pumps = setmetatable({}, { __mode = "k" }) -- the controllers that have one
local nothing_left = condition.new()

local pollable = {
  pollfd = function()
    return assert(engine.get():fileno())
  end,
  events = function()
    return "r"
  end,
  timeout = function()
    return engine.has_answers() and 0 or nil
  end,
}

local function end_pumps()
  if not engine.is_busy() then
    nothing_left:signal()
  end
end

local function run_callback(client)
  engine.run_one(client)
  end_pumps()
end

--- A coroutine for each callback: it may wait, and delays nobody else.
local function spawn_callbacks(controller, client)
  for _ = client.due.first, client.due.last do
    controller:wrap(run_callback, client)
  end
end

local function pump(controller)
  local function spawn(client)
    spawn_callbacks(controller, client)
  end
  while engine.is_busy() do
    cqueues.poll(pollable, nothing_left, LOOK)
    engine.collect()
    engine.each_due(spawn)
  end
  pumps[controller] = nil
  end_pumps()
end

function M.prepare(waits)
  local _, in_coroutine = cqueues.running()
  return waits
      and not in_coroutine
      and "in the cqueues runtime a call waits only in a coroutine of a controller; elsewhere, "
        .. "give it a function as its last argument"
    or nil
end

function M.accepted()
  local controller = cqueues.running()
  if controller and not pumps[controller] then
    pumps[controller] = true
    controller:wrap(pump, controller)
  end
end

function M.await(entry)
  local answered = condition.new()
  entry.wake = function()
    answered:signal()
  end
  while not entry.answered do
    answered:wait()
  end
end

--- Within a controller, a coroutine that is not the controller's own cannot wait.
function M.pause(seconds)
  local controller, in_coroutine = cqueues.running()
  if not controller then
    return blocking.pause(seconds)
  end
  if in_coroutine then
    cqueues.sleep(seconds < SHORT and seconds or SHORT)
  end
  return in_coroutine
end

return M
