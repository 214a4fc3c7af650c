--- How a plain script waits: it blocks its thread. (runtime/init.lua says what is promised.)
local engine = require "sendapi.engine"

local M = {}

-- Seconds. The wait is cut up so that Lua runs in between and an interrupt (Ctrl-C) gets through.
local SLICE = 0.2

M.slice = SLICE -- the first wait is the submission's own: the caller's thread may do all the work

function M.await(entry)
  while true do
    engine.collect()
    if entry.answered then
      return
    end
    engine.get():wait(SLICE)
  end
end

function M.pause(seconds)
  engine.get():wait(seconds < SLICE and seconds or SLICE)
  return true
end

return M
