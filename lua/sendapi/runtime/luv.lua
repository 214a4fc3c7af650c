--- How a coroutine waits under libuv: the loop goes on, and resumes it. (runtime/init.lua says what is
-- promised.)
local engine = require "sendapi.engine"
local runtime = require "sendapi.runtime"
local uv = require "luv"

local M = {}

local handle

local function run_callbacks(client)
  while engine.run_one(client) do -- luacheck: ignore
  end
end

--- The handle keeps the loop alive only while there is something to wait for.
local function keep_alive()
  if engine.is_busy() then
    handle:ref()
  else
    handle:unref()
  end
end

local function on_readable()
  engine.collect()
  engine.each_due(run_callbacks)
  keep_alive()
end

local function start()
  if not handle then
    handle = assert(uv.new_poll(assert(engine.get():fileno())))
    assert(handle:start("r", on_readable))
  end
end

function M.prepare(waits)
  if waits and not runtime.in_coroutine() then
    return "in the luv runtime a call waits only in a coroutine; elsewhere, give it a function "
      .. "as its last argument"
  end
  start()
end

M.accepted = keep_alive

function M.await(entry)
  local waiting = coroutine.running()
  local client = entry.client
  entry.wake = function()
    local fine, message = coroutine.resume(waiting)
    if not fine then
      client.log("error", debug.traceback(waiting, tostring(message)))
    end
  end
  repeat
    coroutine.yield()
  until entry.answered
end

--- A timer resumes a coroutine; elsewhere the loop itself is run, but not from within it.
function M.pause(seconds)
  if not runtime.in_coroutine() then
    return require("sendapi.runtime.blocking").pause(seconds)
  end
  local waiting = coroutine.running()
  local timer = uv.new_timer()
  timer:start(math.floor(seconds < 0.01 and seconds * 1000 or 10), 0, function()
    timer:close()
    coroutine.resume(waiting)
  end)
  coroutine.yield()
  return true
end

return M
