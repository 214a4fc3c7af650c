--- What a message costs the thread that makes it.
local programs = require "spec.bench.programs"

--- Checking, writing and signing the documents' message, in one Lua.
--
-- floor    `cjson.encode` of the same table in the same Lua, which checks nothing, and added to it
--          one HMAC-SHA512 of the bytes in C with the key absorbed beforehand (hmac_floor.c)
-- product  what the core does for one message, called from Lua (encode.lua)
local function encode_row(title, lua)
  return {
    name = ("validate + encode + sign (%s)"):format(title),
    unit = "ns",
    better = "lower",
    budget = 1.0,
    rounds = 7,
    floor = function()
      return programs.encode(lua, "cjson") + programs.hmac()
    end,
    product = function()
      return programs.encode(lua, "core")
    end,
  }
end

--- An asynchronous call, from the call through its callback.
--
-- floor    the product of the row above
-- product  the calling thread's time for `messages:create(params, callback)` and for the poll that
--          runs the callback (caller.lua)
local function caller_row(title, lua, url)
  return {
    name = ("caller's time, create to callback (%s)"):format(title),
    unit = "ns",
    better = "lower",
    budget = 3.0,
    rounds = 3,
    floor = function()
      return programs.encode(lua, "core")
    end,
    product = function()
      return programs.caller(lua, url)
    end,
  }
end

return function(url)
  return {
    encode_row("Lua 5.4", "lua5.4"),
    encode_row("LuaJIT", "luajit"),
    caller_row("Lua 5.4", "lua5.4", url),
    caller_row("LuaJIT", "luajit", url),
  }
end
