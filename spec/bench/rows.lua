--- What is measured against what (harness.lua says what a row is).
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
    rounds = 9,
    floor = function()
      return programs.encode(lua, "cjson") + programs.hmac()
    end,
    product = function()
      return programs.encode(lua, "core")
    end,
  }
end

--- Messages of 64 conversations to one nginx worker over 64 connections of HTTP/1.1.
--
-- floor    one thread in C that posts bytes signed beforehand (curl_floor.c)
-- product  the engine, driven from Lua: checks, writes and signs every message (throughput.lua)
local function throughput_row(url, count)
  return {
    name = "loopback throughput",
    unit = "1/s",
    better = "higher",
    budget = 0.95,
    rounds = 9,
    floor = function()
      return programs.curl(url, count)
    end,
    product = function()
      return programs.throughput(url, count)
    end,
  }
end

---@param url string of the server
---@return spec.bench.Row[]
return function(url)
  return {
    encode_row("Lua 5.4", "lua5.4"),
    encode_row("LuaJIT", "luajit"),
    throughput_row(url, 60000),
  }
end
