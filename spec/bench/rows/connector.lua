--- Requests that a connector handles per second, without a server around it.
local programs = require "spec.bench.programs"

--- One request in one Lua.
--
-- floor    lua-cjson reading the same request and writing a table that gives the same answer, in
--          the same Lua: nothing verified, checked or signed
-- product  `connector:handle` (connector.lua)
--
-- For a list of objects the budget is twice lua-cjson's time: once for the same work, checked on
-- the way, and once for verifying, signing and the handler. The request for `implementation.info`
-- is only told: lua-cjson reads it in a third of a microsecond, less than its signature takes.
local function row(what, action, title, lua, budget)
  local function rate(way)
    return function()
      return 1e9 / programs.connector(lua, way, action)
    end
  end
  return {
    name = ("%s handled (%s)"):format(what, title),
    unit = "1/s",
    better = "higher",
    budget = budget,
    rounds = 5,
    floor = rate "cjson",
    product = rate "handle",
  }
end

return function()
  local info, list = "implementation.info", "list of 100 objects"
  return {
    row(info, "info", "Lua 5.4", "lua5.4"),
    row(info, "info", "LuaJIT", "luajit"),
    row(list, "list", "Lua 5.4", "lua5.4", 0.5),
    row(list, "list", "LuaJIT", "luajit", 0.5),
  }
end
