--- How a coroutine waits under libuv: the loop goes on, and resumes it. (runtime/init.lua says what
-- is promised.)
local engine = require "sendapi.engine"
local queue = require "sendapi.queue"
local runtime = require "sendapi.runtime"
local uv = require "luv"

local M = {}

local SHORT = 0.01 -- seconds between two looks of a coroutine that flushes

local watcher -- of the engine's descriptor; a fork brings another
local watched
local keeper

--- The watcher keeps the loop alive only while there is something to wait for.
local function keep_alive()
  if engine.is_busy() then
    watcher:ref()
  else
    watcher:unref()
  end
end

local function run_all(client)
  while engine.run_one(client) do -- luacheck: ignore
  end
end

--- Callbacks run in a coroutine. One that waits delays nobody else: the rest get another.
local function run_callbacks(client)
  repeat
    runtime.resume(coroutine.create(run_all), client, client)
  until queue.is_empty(client.due)
end

local function on_readable()
  engine.collect()
  engine.each_due(run_callbacks)
end

--- The keeper looks before the loop sleeps, because answers may be taken elsewhere too: by `flush`,
-- or by a call that blocks.
local function start()
  local descriptor = assert(engine.get():fileno())
  if descriptor ~= watched then
    watcher = assert(uv.new_poll(descriptor))
    watched = descriptor
    assert(watcher:start("r", on_readable))
  end
  if not keeper then
    keeper = assert(uv.new_prepare())
    assert(keeper:start(keep_alive))
    keeper:unref()
  end
  keep_alive()
end

function M.prepare(waits)
  return waits
      and not runtime.in_coroutine()
      and "in the luv runtime a call waits only in a coroutine; elsewhere, give it a function "
        .. "as its last argument"
    or nil
end

M.accepted = start
M.listen = start

function M.await(entry)
  local waiting, client = coroutine.running(), entry.client
  entry.wake = function()
    runtime.resume(waiting, client)
  end
  while not entry.answered do
    coroutine.yield()
  end
end

--- A timer resumes a coroutine; elsewhere the thread is blocked, as by any call that waits there.
function M.pause(seconds, client)
  if not runtime.in_coroutine() then
    return require("sendapi.runtime.blocking").pause(seconds)
  end
  local waiting, timer, over = coroutine.running(), uv.new_timer(), false
  timer:start(math.ceil((seconds < SHORT and seconds or SHORT) * 1000), 0, function()
    timer:close()
    over = true
    runtime.resume(waiting, client)
  end)
  repeat
    coroutine.yield()
  until over
  return true
end

return M
