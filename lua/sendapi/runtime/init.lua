--- Which way of waiting a program needs: found out when it waits, or named by the option `runtime`.
--
-- A runtime is a module with these functions:
--
--   prepare(waits, client) -> message   before a request is submitted; `waits`: the caller will
--                                       wait. A message: it cannot be done here, to be raised;
--                                       may be missing
--   accepted()                          after it was submitted; may be missing
--   listen()                            from now on an outbox may tell something, though no call be
--                                       made: it is heard, but keeps no loop from its end; may be
--                                       missing
--   await(entry)                        returns when `entry.answered`; others go on meanwhile
--   pause(seconds, client) -> boolean   returns after that time, or earlier when there may be
--                                       answers; false: here nothing may wait
--   is_polled() -> boolean              whether somebody else calls `poll` meanwhile: then `flush`
--                                       leaves the callbacks to it; may be missing
--
-- What a coroutine's caller sees of a wait is a yield without values. Whoever resumes it meanwhile
-- brings no answer, and finds it yielding again.
local M = {}

---@alias sendapi.RuntimeName "blocking"|"tick"|"nginx"|"cqueues"|"luv"
M.names = { "blocking", "tick", "nginx", "cqueues", "luv" }

local loaded = {} -- the runtimes, by name

--- Whether the caller may yield: it runs in a coroutine that is not the main one.
function M.in_coroutine()
  local running, is_main = coroutine.running()
  return running ~= nil and not is_main
end

--- Outside of coroutines a program that has loaded luv may still be one that runs no loop: there a
-- call waits as in any script, unless the loop runs already.
local function uses_luv(waits)
  local uv = rawget(package.loaded, "luv")
  if type(uv) ~= "table" then
    return false
  end
  return waits == false or M.in_coroutine() or uv.loop_mode ~= nil and uv.loop_mode() ~= nil
end

--- Only what the program has loaded by itself counts: we load none of these.
local function detect(waits)
  local ngx = rawget(_G, "ngx")
  if type(ngx) == "table" and ngx.get_phase then
    return "nginx"
  end
  local cqueues = rawget(package.loaded, "cqueues")
  if type(cqueues) == "table" and cqueues.running() then
    return "cqueues"
  end
  return uses_luv(waits) and "luv" or "blocking"
end

--- The runtime of that name, or the one that fits the place of the call.
---@param name sendapi.RuntimeName|nil
---@param waits boolean|nil whether the caller will wait; false: it has given a function
---@return table
function M.choose(name, waits)
  name = name or detect(waits)
  local chosen = loaded[name]
  if not chosen then
    chosen = require("sendapi.runtime." .. name)
    loaded[name] = chosen
  end
  return chosen
end

--- Resumes a coroutine that waits. What it raises is its own end and nobody else's: it is logged.
-- One that was closed meanwhile is left alone.
---@param waiting thread
---@param client table its state: the option `log` is there
---@param ... any its arguments, when it has not begun yet
function M.resume(waiting, client, ...)
  if coroutine.status(waiting) ~= "suspended" then
    return
  end
  local fine, message = coroutine.resume(waiting, ...)
  if not fine then
    local text = debug.traceback(waiting, tostring(message))
    pcall(client.log, "error", "a coroutine failed: " .. text)
  end
end

return M
