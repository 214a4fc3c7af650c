--- The programs of the benchmark, each run by itself, and the numbers that they print.
local core = require "sendapi.core"
local message = require "spec.bench.message"
local shell = require "sendapi.sandbox.shell"

local quote, run = shell.quote, shell.run

local programs = {}

-- What was built: `build`, unless make was told another name.
local core_path = assert(package.searchpath("sendapi.core", package.cpath))
programs.build = assert(core_path:match "^(.*)/[^/]+/sendapi/core%.so$", core_path)

local function join(...)
  local words = { ... }
  for i, word in ipairs(words) do
    words[i] = quote(word)
  end
  return table.concat(words, " ")
end

local function output_of(command)
  local ok, output = run(command)
  return ok and output or error(command .. ": " .. output, 0)
end

local function number_of(command)
  local output = output_of(command)
  return tonumber(output:match "^[%d.]+") or error(command .. ": " .. output, 0)
end

--- The command that runs a script of this folder in some Lua with its own core.
local function script(lua, name, ...)
  local paths = ('LUA_PATH="./?.lua;$LUA_PATH" LUA_CPATH=%s";$LUA_CPATH" '):format(
    quote(("%s/%s/?.so"):format(programs.build, lua))
  )
  return paths .. join(lua, "spec/bench/" .. name .. ".lua", ...)
end

local function compiled(name, ...)
  return join(("%s/bench/%s"):format(programs.build, name), ...)
end

--- Nanoseconds to encode, `way` being `cjson` or `core`: see encode.lua.
function programs.encode(lua, way)
  return number_of(script(lua, "encode", way))
end

--- Nanoseconds of one signature: see hmac_floor.c.
function programs.hmac()
  local output = output_of(compiled("hmac_floor", message.token, message.body))
  local nanoseconds, signature = output:match "^([%d.]+) (%x+)$"
  assert(signature == message.signature, "the floor's signature is another one than the product's")
  return tonumber(nanoseconds)
end

--- Requests per second of the smallest loop: see curl_floor.c.
function programs.curl(url, count)
  return number_of(compiled("curl_floor", url, count, message.signature, message.body))
end

--- Messages per second of the engine: see throughput.lua.
function programs.throughput(url, count)
  return number_of(script("lua5.4", "throughput", url, count))
end

--- Requests per second of wrk, or nil without it.
function programs.wrk(url)
  local options = join("-t1", "-c64", "-d3s", "-s", "spec/bench/wrk.lua", url)
  local ok, output = run(
    ("wrk %s -- %s"):format(options, join(message.body, message.signature))
  )
  assert(not output:find("Non-2xx", 1, true), output)
  return ok and tonumber(output:match "Requests/sec:%s*([%d.]+)") or nil
end

local function version_of(command)
  local ok, output = run(command)
  return ok and output:match "%d[%w.-]*" or "not found"
end

--- What the figures were taken on.
function programs.machine()
  return ("%s cores, libcurl %s, OpenSSL %s, Lua %s, LuaJIT %s, nginx %s"):format(
    version_of "getconf _NPROCESSORS_ONLN",
    core.libcurl,
    version_of "openssl version",
    version_of "lua5.4 -v",
    version_of "luajit -v",
    version_of 'PATH="$PATH:/usr/sbin:/usr/local/sbin" nginx -v'
  )
end

return programs
