--- How a plain script waits for an answer: it blocks its thread.
local engine = require "sendapi.engine"

local M = {}

-- Seconds. The wait is cut up so that Lua runs in between and an interrupt (Ctrl-C) gets through.
local SLICE = 0.2

--- Waits until a ticket is answered. Every request ends within its client's timeout.
---@param ticket integer
---@return table|nil failure nil when it was delivered
function M.await(ticket)
  while true do
    local answered, failure = engine.answer(ticket)
    if answered then
      return failure
    end
    engine.get():wait(SLICE)
  end
end

return M
