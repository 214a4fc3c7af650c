--- Programs of specs, each one of its own, and a sandbox that says what arrived of them.
local assert = require "luassert"
local core = require "sendapi.core"
local sandboxes = require "spec.support.sandbox"
local send_api = require "spec.support.send_api"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local TOKEN = send_api.token
local CORE = package.searchpath and package.searchpath("sendapi.core", package.cpath) or ""

local programs = {
  IS_SANITIZED = CORE:find("/sanitized/", 1, true) ~= nil,
  STUCK = 20, -- seconds that the source "stuck" takes
}

-- A child abandons what is its parent's: that is no leak.
programs.forking = "env ASAN_OPTIONS=detect_leaks=0 "

-- What every program begins with. Its arguments: the sandbox's urls, and what else is said.
local PRELUDE = [[
local http, https, ca_file, token = ...
local arguments = { select(5, ...) }
local sendapi = require "sendapi"

local function new(source_id, options)
  options = options or {}
  options.base_url = options.base_url or http
  return sendapi.client(source_id, token, options)
end

local function message(id, thread_id)
  return {
    id = id,
    thread_id = thread_id or id,
    author = { id = "666", created_at = 0, screenname = "John Doe" },
    body = "Awesome post !",
  }
end

local function no() end

local engine = require "sendapi.engine"

-- Until every callback of the client is due.
local function take_all(client)
  while client:stats().pending > 0 do
    engine.get():wait(1)
    engine.collect()
  end
end
]]

local directory, sandbox

--- For `setup`, and its like for `teardown` and `before_each`.
function programs.start()
  directory = temporary.directory()
  sandbox = sandboxes.start {
    sources = {
      plain = { token = TOKEN },
      late = { token = TOKEN, fault = { kind = "delay", seconds = 0.2 } },
      stuck = { token = TOKEN, fault = { kind = "delay", seconds = programs.STUCK } },
      abandoned = { token = TOKEN, fault = { kind = "delay", seconds = 0.05 } },
      unheard = { token = TOKEN, fault = { kind = "reset", at = "before" } },
    },
  }
end

function programs.stop()
  sandbox:stop()
  directory:remove()
end

function programs.clear()
  sandbox:clear()
end

--- The path of a file that lives as long as the sandbox.
function programs.path_of(name)
  return directory:path_of(name)
end

--- Compiles a host, once. Next to a core with sanitizers it has them too.
function programs.host(name)
  local path = directory:path_of(name)
  local file = io.open(path)
  if file then
    file:close()
    return path
  end
  local command = "cc -std=c11 -D_POSIX_C_SOURCE=200809L -pthread -O1 -g -Wall -Wextra "
    .. "-Wpedantic -Wshadow -Wstrict-prototypes -Wconversion -Werror %s "
    .. "$(pkg-config --cflags %s) -o %s spec/hosts/%s.c $(pkg-config --libs %s)"
  local sanitizers = programs.IS_SANITIZED and "-fsanitize=address,undefined" or ""
  local lua = shell.lua
  local result = shell.run(command:format(sanitizers, lua, shell.quote(path), name, lua))
  assert.equal(0, result.status, result.errors)
  return path
end

--- Runs a script by a command, and says how long it took.
function programs.run(command, text, ...)
  local words = { command, shell.quote(directory:write("program.lua", PRELUDE .. text)) }
  for _, argument in ipairs { sandbox.http, sandbox.https, sandbox.ca_file, TOKEN, ... } do
    words[#words + 1] = shell.quote(argument)
  end
  local began = core.now()
  local result = shell.run("timeout 120 " .. table.concat(words, " "))
  result.seconds = core.now() - began
  return result
end

--- Checks that a program ended as it should.
function programs.succeed(result)
  assert.equal(0, result.status, result.errors)
  assert.equal("", result.errors)
  return result
end

--- How often each id arrived.
function programs.arrived(is_wanted)
  local counts = {}
  for _, entry in ipairs(sandbox:received()) do
    if is_wanted(entry.source_id) then
      counts[entry.params.id] = (counts[entry.params.id] or 0) + 1
    end
  end
  return counts
end

-- What a program abandons may arrive when it is gone.
function programs.is_waited_for(source_id)
  return source_id == "plain" or source_id == "late"
end

--- Checks that the ids with these prefixes arrived, once each, and nothing else.
function programs.check_arrived(prefixes, count)
  local expected = {}
  for _, prefix in ipairs(prefixes) do
    for i = 1, count do
      expected[prefix .. i] = 1
    end
  end
  assert.same(expected, programs.arrived(programs.is_waited_for))
end

return programs
