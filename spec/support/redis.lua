--- A redis-server of the spec's own, in a private directory: on loopback and on a unix socket.
-- Every write is on the disk before it is confirmed.
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local PATIENCE = 20 -- seconds until it is up
local MOST_ATTEMPTS = 20 -- to find a port
local LOWEST_PORT, HIGHEST_PORT = 10240, 32000 -- below the ports that systems give to clients

local redis = {}

---@class spec.Redis
---@field url string      of its database 0 over TCP
---@field unix_url string the same over its socket
local Redis = {}
Redis.__index = Redis

--- Runs one command of redis-cli, and gives what it printed.
function Redis:ask(command)
  return shell.run(("redis-cli -s %s %s"):format(shell.quote(self.socket), command)).output
end

-- It is killed when the pipe is closed, by `kill` or because the spec's process has ended.
local function launch(self)
  local command = [[
    redis-server --port %d --bind 127.0.0.1 --unixsocket %s --dir %s --logfile log \
      --save '' --appendonly yes --appendfsync always &
    read -r _
    kill -KILL $! 2>/dev/null
    wait]]
  local socket, directory = shell.quote(self.socket), shell.quote(self.directory.path)
  self.pipe = assert(io.popen(command:format(self.port, socket, directory), "w"))
end

local function log_of(self)
  local file = io.open(self.directory:path_of "log")
  local log = file and file:read "*a" or ""
  if file then
    file:close()
  end
  return log
end

local function await_start(self)
  shell.wait_until(function()
    return self:ask "PING" == "PONG\n" or log_of(self):find("Address already in use", 1, true)
  end, PATIENCE)
  return self:ask "PING" == "PONG\n"
end

--- Starts it again, with what it had written, where it was.
function Redis:revive()
  launch(self)
  assert(await_start(self), log_of(self))
end

--- Kills it as a power cut would; returns when it is gone.
function Redis:kill()
  if self.pipe then
    self.pipe:close()
    self.pipe = nil
  end
end

--- Ends it and removes what it wrote.
function Redis:stop()
  self:kill()
  self.directory:remove()
end

--- Starts one.
---@return spec.Redis
function redis.start()
  for _ = 1, MOST_ATTEMPTS do
    local self = setmetatable({ directory = temporary.directory() }, Redis)
    self.port = math.random(LOWEST_PORT, HIGHEST_PORT)
    self.socket = self.directory:path_of "socket"
    self.url = ("redis://127.0.0.1:%d/0"):format(self.port)
    self.unix_url = "redis+unix://" .. self.socket
    launch(self)
    if await_start(self) then
      return self
    end
    local log = log_of(self)
    self:stop()
    assert(log:find("Address already in use", 1, true), log)
  end
  error "no port is free"
end

return redis
