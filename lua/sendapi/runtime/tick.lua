--- How a game server waits: in a coroutine the call yields, and `client:poll()` resumes it. Outside
-- one nothing may wait: there a call takes a function. (runtime/init.lua says what is promised.)
local runtime = require "sendapi.runtime"

local M = {}

function M.prepare(waits)
  if waits and not runtime.in_coroutine() then
    return "in the tick runtime a call waits only in a coroutine; elsewhere, give it a function "
      .. "as its last argument"
  end
end

--- What resumes it is a callback of the client, so that `poll` keeps its bounds. Who else resumes
-- it brings no answer: it goes on waiting.
function M.await(entry)
  local waiting, client = coroutine.running(), entry.client
  entry.callback = function()
    entry.answered = true
    runtime.resume(waiting, client)
  end
  while not entry.answered do
    coroutine.yield()
  end
end

M.is_polled = runtime.in_coroutine

--- A coroutine sleeps until the client was polled; outside one the thread waits a moment.
function M.pause(seconds, client)
  if not runtime.in_coroutine() then
    return require("sendapi.runtime.blocking").pause(seconds)
  end
  local sleeper = { waiting = coroutine.running() }
  client.sleepers = client.sleepers or {}
  client.sleepers[#client.sleepers + 1] = sleeper
  repeat
    coroutine.yield()
  until sleeper.woken
  return true
end

--- Called by `poll`: resumes the coroutines that sleep, each once.
---@param client table the client's state
function M.wake_sleepers(client)
  local sleepers = client.sleepers
  client.sleepers = nil
  for _, sleeper in ipairs(sleepers or {}) do
    sleeper.woken = true
    runtime.resume(sleeper.waiting, client)
  end
end

return M
