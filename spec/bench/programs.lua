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

--- What a script of this folder prints, run by Lua 5.4.
---@return string
function programs.script(name, ...)
  return output_of(script("lua5.4", name, ...))
end

--- What a compiled program of this folder prints.
---@return string
function programs.compiled(name, ...)
  return output_of(compiled(name, ...))
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

--- Requests per second, one at a time: see easy_floor.c.
function programs.easy(url, count)
  return number_of(compiled("easy_floor", url, count, message.signature, message.body))
end

--- Messages per second, `way` being `core` or `client`: see throughput.lua.
function programs.throughput(way, url, count, conversations)
  return number_of(script("lua5.4", "throughput", way, url, count, conversations))
end

--- Nanoseconds that an asynchronous call costs its caller: see caller.lua.
function programs.caller(lua, url)
  return number_of(script(lua, "caller", url))
end

--- Nanoseconds of one request, `way` being `cjson` or `handle`: see connector.lua.
function programs.connector(lua, way, action)
  return number_of(script(lua, "connector", way, action))
end

--- Calls per second, one at a time: see waiting.lua.
function programs.waiting(url, count)
  return number_of(script("lua5.4", "waiting", url, count))
end

--- Bytes of one pending message: see pending.lua.
function programs.pending(url, count, conversations)
  return number_of(script("lua5.4", "pending", url, count, conversations))
end

local megabytes = 15 -- as a million bytes each

--- As many bytes of every value, in no order: so that nothing that they pass through has it easy.
local function noise(count)
  local state, bytes = 1, {}
  for i = 1, count do
    state = state * 69069 % 4294967296 + 1
    bytes[i] = string.char(math.floor(state / 16777216))
  end
  return table.concat(bytes)
end

--- A file to attach, made beside what was built.
local function attachment()
  local path = programs.build .. "/bench/attachment.bin"
  local file = assert(io.open(path, "wb"))
  local piece = noise(100000)
  for _ = 1, megabytes * 10 do
    file:write(piece)
  end
  file:close()
  return path
end

--- A message with a file: the processor's microseconds of the process, those of the calling thread,
-- and the bytes of memory. See attachment.lua.
function programs.attachment(url)
  local output = output_of(script("lua5.4", "attachment", url, attachment()))
  local process, thread, bytes = output:match "^(%S+) (%S+) (%S+)$"
  return tonumber(process), tonumber(thread), tonumber(bytes)
end

--- The same file encoded and signed: microseconds, and the bytes to send. See file_floor.c.
function programs.file()
  local output = output_of(compiled("file_floor", message.token, attachment()))
  local microseconds, bytes = output:match "^(%S+) (%S+)$"
  return tonumber(microseconds), tonumber(bytes)
end

local function wrk(...)
  local ok, output = run(join("wrk", "-t1", ...))
  assert(not output:find("Non-2xx", 1, true), output)
  return ok and output or nil
end

local function requests_per_second(output)
  return output and tonumber(output:match "Requests/sec:%s*([%d.]+)")
end

--- Requests per second of wrk posting the message, or nil without it.
function programs.wrk(url)
  local script_options = { "-s", "spec/bench/wrk.lua", url, "--", message.body, message.signature }
  return requests_per_second(wrk("-c64", "-d2s", (table.unpack or unpack)(script_options)))
end

--- Requests per second of wrk asking a path of 64 connections, or nil without it.
function programs.ask(url)
  return requests_per_second(wrk("-c64", "-d2s", url))
end

local microseconds_in = { us = 1, ms = 1e3, s = 1e6 }

--- Microseconds within which 99 of 100 requests of a calm crowd are answered (wrk_other.lua).
function programs.p99(url)
  local output = wrk("-c8", "-d2s", "-s", "spec/bench/wrk_other.lua", "--latency", url)
  local number, unit = output:match "99%%%s+([%d.]+)(%a+)"
  return tonumber(number) * microseconds_in[unit]
end

--- Lets the gateway send so many messages a second from now on, and tells how many it has sent so
-- far, and for how many nanoseconds its worker's thread has run.
function programs.set_load(gateway, rate)
  local url = ("%s/load?rate=%d"):format(gateway, rate)
  local output = output_of(join("curl", "-sSg", "--fail", "--noproxy", "*", url))
  local sent, nanoseconds = output:match "^(%d+) (%d+)$"
  return tonumber(sent), tonumber(nanoseconds)
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
