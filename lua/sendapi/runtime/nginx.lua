-- luacheck: std ngx_lua
--- How a request in nginx waits: its light thread yields, and others run. (runtime/init.lua says
-- what is promised.)
--
-- nginx's Lua cannot watch the engine's descriptor, but it can read a socket. While something is
-- under way, a timer of each worker, the reader, reads from the engine's unix socket a byte for
-- each batch of answers. It has light threads of three kinds: one that reads, one that watches over
-- the reader's end, and the runners, which run callbacks. A callback may wait: there is always one
-- more runner, which then goes on with what is due. While no call is under way there is no reader;
-- in a worker with an outbox another timer looks then whether there is something to be told.
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local queue = require "sendapi.queue"
local semaphores = require "ngx.semaphore"

local M = {}

M.limits = {
  wakeups = 100000, -- after so many the reader begins anew: a timer's memory grows while it runs
  idle = 5, -- seconds with nothing under way, after which the reader ends
  linger = 0.5, -- the same in a worker that exits: requests that it still has may make calls
  look = 0.25, -- seconds between two looks whether it is to end
  listen = 1, -- seconds between two looks for what an outbox tells, while there is no reader
}

local UNSEEN = 2 -- seconds after which a reader that shows no life is replaced
local PATIENCE = 1 -- seconds that a call waits before it looks after its answer by itself
local POLL = 0.01 -- seconds between two looks for answers, where there is no socket
local SHORTEST = 0.001 -- seconds; nginx warns of a shorter sleep
local LONGEST_READ = 2147483647 -- milliseconds: a time-out would be logged as an error

local may_yield = {
  rewrite = true,
  server_rewrite = true,
  access = true,
  content = true,
  timer = true,
  preread = true,
  ssl_cert = true,
  ssl_session_fetch = true,
  ssl_client_hello = true,
}

local refused_in = {
  init = "in init_by_lua there is no worker yet: call it in init_worker_by_lua or later",
  exit_worker = "in exit_worker_by_lua it is too late: the worker waits for nothing any more",
}

local instead = "give the call a function as its last argument"

---@class sendapi.nginx.Reader
---@field seen number       when it last showed life
---@field work table?       a semaphore: as many as there are jobs
---@field jobs table        a queue of clients that may have callbacks due
---@field idle_runners integer
---@field left table?       the jobs of one that came to an untimely end
---@field ended boolean?    it reads no more, and its runners end

local current -- the worker's reader, or nil
local drain = 0 -- seconds that an exiting worker waits for what is under way
local drained_by -- the moment when it stops to wait; nil: the worker does not exit yet
local cut_off = false -- it has stopped to wait
local is_listening = false -- there is the timer that looks for what outboxes tell

-- Callbacks.

local run_jobs

--- Lets a runner look after a client. One that is idle is there before it is told, so that it does
-- not begin at once, within its maker.
local function add_job(reader, client)
  if reader.idle_runners == 0 then
    ngx.thread.spawn(run_jobs, reader)
  end
  queue.push(reader.jobs, client)
  reader.work:post(1)
end

--- Runs what a client has due. Another runner is told of the same client: should a callback wait,
-- it runs the rest, and otherwise it finds nothing.
local function run_job(reader)
  local client = queue.pop(reader.jobs)
  if client and not queue.is_empty(client.due) then
    add_job(reader, client)
    while engine.run_one(client) do -- luacheck: ignore
    end
  end
end

--- A runner.
function run_jobs(reader)
  while not reader.ended or not queue.is_empty(reader.jobs) do
    reader.idle_runners = reader.idle_runners + 1
    local told = reader.work:wait(60)
    reader.idle_runners = reader.idle_runners - 1
    if told then
      run_job(reader)
    end
  end
end

--- What a reader before this one has left undone.
local function inherit(reader)
  while reader.left and not queue.is_empty(reader.left) do
    add_job(reader, queue.pop(reader.left))
  end
end

local function end_runners(reader)
  reader.ended = true
  if reader.idle_runners > 0 then
    reader.work:post(reader.idle_runners)
  end
end

-- The reader.

--- Wakes who waits, and has the callbacks run that are due.
local function collect(reader)
  engine.collect()
  engine.each_due(function(client)
    add_job(reader, client)
  end)
end

--- The file has served once the connection is there: nothing is left behind, however nginx ends.
local function remove_socket(path)
  os.remove(path)
  os.remove(path:match "^(.*)/")
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
  remove_socket(path)
  return connected and socket, message
end

--- Reads until the socket ends, the reader has grown old or another has taken its place. Without a
-- socket it looks now and then.
local function read(reader, socket)
  for _ = 1, M.limits.wakeups do
    if socket and not socket:receiveany(64) then
      return
    elseif not socket then
      ngx.sleep(POLL)
    end
    collect(reader)
    if current ~= reader then
      return
    end
  end
end

--- Ends what is under way with `closed`: the worker has waited long enough.
local function give_up()
  cut_off = true
  ngx.log(ngx.WARN, "sendapi: the worker exits: requests under way end unanswered")
  engine.get():close()
end

--- Whether the worker exits and waits no longer for what is under way.
local function is_overdue()
  if not ngx.worker.exiting() then
    return false
  end
  drained_by = drained_by or core.now() + drain
  return core.now() >= drained_by
end

--- Returns when there has been nothing to read for long, the worker exits and has nothing under way
-- or waits no longer, or another reader has taken this one's place.
local function watch(reader)
  local idle_since
  while current == reader do
    reader.seen = core.now()
    idle_since = not engine.is_busy() and (idle_since or reader.seen) or nil
    local longest = ngx.worker.exiting() and M.limits.linger or M.limits.idle
    if idle_since and reader.seen - idle_since >= longest then
      return
    elseif is_overdue() then
      give_up()
      return collect(reader)
    end
    ngx.sleep(M.limits.look)
  end
end

--- Returns when one of the two does.
local function read_and_watch(reader, socket)
  local reading = ngx.thread.spawn(read, reader, socket)
  local watching = ngx.thread.spawn(watch, reader)
  ngx.thread.wait(reading, watching)
  ngx.thread.kill(reading)
  ngx.thread.kill(watching)
end

local function is_alive(reader)
  return reader ~= nil and core.now() - reader.seen < UNSEEN
end

local start_reader

--- The timer; it ends early (its first argument says so) when the worker exits, and then there may
-- be answers to come all the same.
local function run_reader(_, reader)
  local socket, message = connect()
  if not socket then
    ngx.log(ngx.WARN, "sendapi: no socket for answers, they come late: ", message)
  end
  inherit(reader)
  read_and_watch(reader, socket)
  if socket then
    socket:close()
  end
  end_runners(reader)
  if current == reader then
    current = nil
    if engine.is_busy() and not cut_off then
      start_reader()
    end
  end
end

--- Starts the worker's reader, unless it lives.
---@return string|nil message
function start_reader()
  if is_alive(current) then
    return
  end
  local reader = {
    seen = core.now(),
    work = semaphores.new(0),
    jobs = queue.new(),
    left = current and current.jobs,
    idle_runners = 0,
  }
  local started, message = ngx.timer.at(0, run_reader, reader)
  if not started then
    return "nginx makes no timer for the answer: " .. tostring(message)
  end
  current = reader
end

local function look_for_news(is_exiting)
  if not is_exiting and not ngx.worker.exiting() and engine.has_answers() then
    start_reader()
  end
end

-- What the library calls.

--- Nginx ends the timer when the worker exits.
function M.listen()
  if not is_listening and not ngx.worker.exiting() then
    is_listening = ngx.timer.every(M.limits.listen, look_for_news) ~= nil
  end
end

function M.prepare(waits, client)
  local phase = ngx.get_phase()
  if refused_in[phase] then
    return refused_in[phase]
  elseif waits and not may_yield[phase] then
    return ("in the phase %s nothing may wait: %s"):format(phase, instead)
  elseif cut_off then
    return "the worker exits, and sends nothing any more"
  end
  drain = math.max(drain, client.options.close_timeout)
  if client.options.outbox then
    M.listen()
  end
  if waits and ngx.worker.exiting() then
    return -- a timer that is made now has nginx complain of it at the worker's end
  end
  return start_reader()
end

--- Made here, so that it keeps what it needs: the locals of a light thread that is killed, since
-- the client has gone, are nil to the functions made in it.
local function waker(semaphore)
  return function()
    semaphore:post(1)
  end
end

--- What a call does that no reader wakes.
local function help_oneself()
  if not ngx.worker.exiting() then
    start_reader()
  elseif is_overdue() and not cut_off then
    give_up()
  end
  engine.collect()
end

--- The reader wakes it. Should there be none, or should it have come to an untimely end, the call
-- helps itself.
function M.await(entry)
  local semaphore = semaphores.new(0)
  entry.wake = waker(semaphore)
  while not entry.answered do
    local patience = is_alive(current) and PATIENCE or POLL
    if not semaphore:wait(patience) and not entry.answered then
      help_oneself()
    end
  end
end

--- The runners do it: what `flush` ran in a request would end with that when its client goes away.
function M.is_polled()
  return is_alive(current)
end

function M.pause(seconds)
  if not may_yield[ngx.get_phase()] then
    return false
  end
  ngx.sleep(math.max(SHORTEST, math.min(seconds, POLL)))
  return true
end

return M
