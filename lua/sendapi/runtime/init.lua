--- Which way of waiting a program needs: found out when it waits, or named by the option `runtime`.
--
-- A runtime is a module with these functions:
--
--   prepare(waits, client) -> message   before a request is submitted; `waits`: the caller will wait.
--                                       A message: it cannot be done here, to be raised
--   accepted()                          after it was submitted; may be missing
--   await(entry)                        returns when `entry.answered`; others go on meanwhile
--   pause(seconds, client) -> boolean   returns after that time, or earlier when there may be
--                                       answers; false: here nothing may wait
local M = {}

---@alias sendapi.RuntimeName "blocking"|"tick"|"nginx"|"cqueues"|"luv"
M.names = { "blocking", "tick", "nginx", "cqueues", "luv" }

--- Whether the caller may yield: it runs in a coroutine that is not the main one.
function M.in_coroutine()
  local running, is_main = coroutine.running()
  return running ~= nil and not is_main
end

--- Only what the program has loaded by itself counts: we load none of these.
local function detect()
  local ngx = rawget(_G, "ngx")
  if type(ngx) == "table" and ngx.get_phase then
    return "nginx"
  end
  local cqueues = rawget(package.loaded, "cqueues")
  if type(cqueues) == "table" and cqueues.running() then
    return "cqueues"
  end
  if rawget(package.loaded, "luv") and M.in_coroutine() then
    return "luv"
  end
  return "blocking"
end

--- The runtime of that name, or the one that fits the place of the call.
---@param name sendapi.RuntimeName|nil
---@return table
function M.choose(name)
  return require("sendapi.runtime." .. (name or detect()))
end

return M
