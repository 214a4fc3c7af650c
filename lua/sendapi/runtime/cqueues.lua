--- How a coroutine of a cqueues controller waits: others run until the engine's descriptor is
-- readable. (runtime/init.lua says what is promised.)
local condition = require "cqueues.condition"
local cqueues = require "cqueues"
local engine = require "sendapi.engine"

local M = {}

local pumping = false

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

local function run_callbacks(client)
  while engine.run_one(client) do -- luacheck: ignore
  end
end

--- Takes answers for everybody in the controller for as long as there is anything to wait for.
local function pump()
  while engine.is_busy() do
    cqueues.poll(pollable)
    engine.collect()
    engine.each_due(run_callbacks)
  end
  pumping = false
end

function M.prepare(waits)
  local controller, in_coroutine = cqueues.running()
  if not controller or not in_coroutine then
    return waits and "in the cqueues runtime a call waits only in a coroutine of a controller"
      or nil
  end
  M.start(controller)
end

function M.start(controller)
  if not pumping then
    pumping = true
    controller:wrap(function()
      cqueues.sleep(0) -- the request is submitted first
      pump()
    end)
  end
end

function M.await(entry)
  local answered = condition.new()
  entry.wake = function()
    answered:signal()
  end
  repeat
    answered:wait()
  until entry.answered
end

function M.pause(seconds)
  cqueues.sleep(seconds < 0.01 and seconds or 0.01)
  return true
end

return M
