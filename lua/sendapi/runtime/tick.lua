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

--- What resumes it is a callback of the client, so that `poll` keeps its bounds. Who else resumes it
-- brings no answer: it goes on waiting.
function M.await(entry)
  local waiting, client = coroutine.running(), entry.client
  entry.callback = function()
    entry.answered = true
    local fine, message = coroutine.resume(waiting)
    if not fine then
      client.log("error", debug.traceback(waiting, tostring(message)))
    end
  end
  repeat
    coroutine.yield()
  until entry.answered
end

--- A coroutine lets the ticks go on; outside one there is nothing but to wait a moment.
function M.pause(seconds)
  if runtime.in_coroutine() then
    coroutine.yield()
    return true
  end
  return require("sendapi.runtime.blocking").pause(seconds)
end

return M
