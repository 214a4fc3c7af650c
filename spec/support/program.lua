--- Programs beside the one that runs the specs, each a process of its own: heard, halted and killed
-- from outside, at any moment.
local send_api = require "spec.support.send_api"
local shell = require "spec.support.shell"

local program = {}

--- The Lua that runs these specs, as the PATH has it.
program.lua = rawget(_G, "jit") and "luajit" or "lua" .. _VERSION:match "%d%.%d"

---@class spec.Program
---@field pid integer
---@field pipe file*
local Program = {}
Program.__index = Program

--- Starts one. It shall end by itself when nobody hears it any more.
---@param words (string|number)[] the command and its arguments
---@return spec.Program
function program.start(words)
  local quoted = {}
  for i, word in ipairs(words) do
    quoted[i] = shell.quote(word)
  end
  -- The shell has said its number and becomes the program.
  local pipe = assert(io.popen("echo $$; exec " .. table.concat(quoted, " ") .. " 2>&1"))
  return setmetatable({ pipe = pipe, pid = tonumber((pipe:read "*l")) }, Program)
end

--- The next line that it says, waiting for it; nil: it has ended.
---@return string|nil
function Program:read()
  return self.pipe:read "*l"
end

--- Starts a sender (`spec.support.sender`), of 1,000 messages/s unless told.
---@param given { url: string, outbox: string, stream: integer, first: integer?, rate: integer? }
---@return spec.Program
function program.send(given)
  return program.start {
    program.lua,
    "spec/support/sender.lua",
    given.url,
    given.outbox,
    send_api.token,
    given.stream,
    given.first or 0,
    given.rate or 1000,
  }
end

---@param name string "KILL", "STOP", "CONT"
function Program:signal(name)
  os.execute(("kill -%s %d"):format(name, self.pid))
end

--- Kills it, and waits for its end.
---@return fun(): string|nil lines what it had said since the last `read`
function Program:kill()
  self:signal "KILL"
  local rest = self.pipe:read "*a"
  self.pipe:close()
  return rest:gmatch "([^\n]+)\n"
end

return program
