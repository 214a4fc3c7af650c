--- A redis-server of a spec's own, on a unix socket in a directory of its own.
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

---@class spec.Redis
---@field url string           without a prefix, so that its query has one parameter
---@field directory spec.Temporary
---@field private process string
local Redis = {}
Redis.__index = Redis

local redis = {}

local SERVER = "redis-server --port 0 --unixsocket %s --dir %s --save '' --appendonly no "
  .. "--maxmemory-policy noeviction >/dev/null 2>&1 & echo $!"

---@return boolean
function redis.is_installed()
  return shell.run("command -v redis-server").status == 0
end

---@return spec.Redis
function redis.start()
  local directory = temporary.directory()
  local path = directory:path_of "socket"
  local started = shell.run(SERVER:format(shell.quote(path), shell.quote(directory.path)))
  local process = started.output:match "^%d+"
  local is_up = shell.wait_until(function()
    return shell.run("redis-cli -s " .. shell.quote(path) .. " PING").output == "PONG\n"
  end, 30)
  assert(is_up, "redis-server does not start")
  return setmetatable({
    url = "redis+unix://" .. path .. "?timeout=10",
    directory = directory,
    process = process,
  }, Redis)
end

--- Runs one command of redis-cli.
---@param words string
---@return string output
function Redis:run(words)
  local path = self.directory:path_of "socket"
  return shell.run("redis-cli -s " .. shell.quote(path) .. " " .. words).output
end

function Redis:stop()
  shell.run("kill -9 " .. self.process)
  self.directory:remove()
end

return redis
