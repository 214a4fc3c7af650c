--- How a request in nginx waits: its light thread yields, and others run. (runtime/init.lua says what
-- is promised.)
--
-- nginx's Lua cannot watch the engine's descriptor, but it can read a socket: a light thread of each
-- worker, the reader, reads from the engine's unix socket a byte for each batch of answers.
local engine = require "sendapi.engine"
local ngx = ngx -- luacheck: ignore

local M = {}

local WAKEUPS = 100000 -- after so many the reader begins anew: a timer's memory grows while it runs
local LONGEST_READ = 2147483647 -- milliseconds: a time-out would be logged as an error
local LOOK = 0.25 -- seconds between two looks whether the worker exits
local LONGEST_DRAIN = 10 -- seconds that an exiting worker waits for what is under way

local may_yield = {
  rewrite = true,
  server_rewrite = true,
  access = true,
  content = true,
  timer = true,
  preread = true,
  ssl_cert = true,
  ssl_session_fetch = true,
}

local start_reader
local reading = false

local function run_callbacks(client)
  while engine.run_one(client) do -- luacheck: ignore
  end
end

--- Callbacks run in light threads of their own: one that waits delays nobody else.
local function collect()
  engine.collect()
  engine.each_due(function(client)
    ngx.thread.spawn(run_callbacks, client)
  end)
end

local function connect()
  local path, message = engine.get():listen()
  if not path then
    return nil, message
  end
  local socket = ngx.socket.tcp()
  socket:settimeouts(1000, 1000, LONGEST_READ)
  local connected
  connected, message = socket:connect("unix:" .. path)
  return connected and socket, message
end

--- Reads until the socket ends or the reader has grown old.
local function read(socket)
  for _ = 1, WAKEUPS do
    if not socket:receiveany(64) then
      return
    end
    collect()
  end
end

--- Returns when the worker exits and nothing is under way any more, or has been for too long.
local function watch()
  while not ngx.worker.exiting() do
    ngx.sleep(LOOK)
  end
  for _ = 1, LONGEST_DRAIN / LOOK do
    if not engine.is_busy() then
      return
    end
    ngx.sleep(LOOK)
  end
  ngx.log(ngx.WARN, "sendapi: the worker exits with requests under way")
end

local function run_reader(premature)
  if premature then
    reading = false
    return
  end
  local socket, message = connect()
  if not socket then
    reading = false
    ngx.log(ngx.ERR, "sendapi: cannot read from the engine: ", message)
    return
  end
  local reader = ngx.thread.spawn(read, socket)
  local watcher = ngx.thread.spawn(watch)
  ngx.thread.wait(reader, watcher)
  ngx.thread.kill(reader)
  ngx.thread.kill(watcher)
  socket:close()
  reading = false
  if engine.is_busy() and not ngx.worker.exiting() then
    start_reader()
  end
end

--- Starts the worker's reader, if it does not run yet.
---@return string|nil message
function start_reader()
  if reading then
    return
  end
  local started, message = ngx.timer.at(0, run_reader)
  if not started then
    return "cannot start: " .. tostring(message)
  end
  reading = true
end

function M.prepare(waits)
  local phase = ngx.get_phase()
  if phase == "init" then
    return "in init_by_lua there is no worker yet: call it in init_worker_by_lua or later"
  end
  if waits and not may_yield[phase] then
    return ("in the phase %s nothing may wait: give the call a function as its last argument"):format(
      phase
    )
  end
  return start_reader()
end

function M.await(entry)
  local semaphore = require("ngx.semaphore").new(0)
  entry.wake = function()
    semaphore:post(1)
  end
  repeat
    semaphore:wait(60)
  until entry.answered
end

function M.pause(seconds)
  if not may_yield[ngx.get_phase()] then
    return false
  end
  ngx.sleep(seconds < 0.01 and seconds or 0.01)
  return true
end

return M
