--- This Lua state's one engine, and who waits for which answer.
--
-- The engine is shared by all clients. It has no thread until something is submitted, so a program
-- may load the library, make clients and fork before that.
--
-- A call that was accepted is an entry until its outcome is known:
--
--   client    the client's state (client.lua)
--   action    its name, for the error
--   callback  what is called with the outcome, by the client's `poll`; or nil: somebody waits
--   answered  true once the outcome is known, `failure` being nil when it was delivered
--   wake      called then, when somebody waits; or nil
local core = require "sendapi.core"
local errors = require "sendapi.error"
local queue = require "sendapi.queue"

local M = {}

local engine
local entries = {} -- by ticket
local due_clients = {} -- set of the states that have something in `due`
local generation = 0 -- of forks, as the core counts them
local under_way = 0 -- entries, those in `due` too

--- The engine, made by the first client.
---@return userdata
function M.get()
  engine = engine or core.engine()
  return engine
end

--- Notes an entry under its ticket.
function M.expect(ticket, entry)
  entries[ticket] = entry
  entry.client.pending = entry.client.pending + 1
  under_way = under_way + 1
end

local function done(entry)
  entry.client.pending = entry.client.pending - 1
  under_way = under_way - 1
end

--- Whether any client waits for an answer, or has a callback to run.
function M.is_busy()
  return under_way > 0
end

--- Whether `collect_one` would find something, now.
function M.has_answers()
  return M.get():wait(0)
end

local function make_due(entry)
  local client = entry.client
  due_clients[client] = true
  queue.push(client.due, entry)
end

--- The outcome goes to whoever waits for it, or to the client's queue.
local function deliver(entry, failure)
  entry.failure = failure
  if entry.callback then
    make_due(entry)
    return
  end
  done(entry)
  entry.answered = true
  if entry.wake then
    entry.wake()
  end
end

--- Asks the client's `retry` function. Whatever it answers but a number of seconds means "no".
local function ask(entry, failure)
  if entry.client.ended then
    return nil
  end
  local err = errors.new(failure, entry.action)
  local asked, seconds = pcall(entry.client.options.retry, err, err.attempts)
  if not asked then
    entry.client.log("error", "the retry function failed: " .. tostring(seconds))
    return nil
  end
  return type(seconds) == "number" and seconds == seconds and seconds or nil
end

--- Takes one answer, if there is one. Never waits.
---@return boolean taken
function M.collect_one()
  local ticket, failure, question = M.get():take()
  if not ticket then
    return false
  end
  local entry = entries[ticket]
  if not entry then -- a hook (Ctrl-C) ended its call before anybody could wait for it
    if question then
      question:release()
    end
    return true
  end
  if question then
    local seconds = ask(entry, failure)
    if seconds and question:again(seconds) then
      return true
    end
    question:release()
  end
  entries[ticket] = nil
  deliver(entry, failure)
  return true
end

--- Takes all the answers there are. Never waits.
function M.collect()
  M.get():calm()
  while M.collect_one() do -- luacheck: ignore
  end
end

local function trace(message)
  return debug.traceback(tostring(message), 2)
end

--- Runs the next callback of a client, if one is due. An error in it is logged, and stops nothing.
---@return boolean run
function M.run_one(client)
  local entry = queue.pop(client.due)
  if not entry then
    return false
  end
  if queue.is_empty(client.due) then
    due_clients[client] = nil
  end
  done(entry)
  local failure = entry.failure
  local err = failure and errors.new(failure, entry.action) or nil
  if client.ended then
    if err then
      io.stderr:write("sendapi: ", err.action, " was not delivered: ", tostring(err), "\n")
    end
    return true
  end
  local fine, message = xpcall(function()
    entry.callback(not err or nil, err)
  end, trace)
  if not fine then
    client.log("error", "a callback failed: " .. message)
  end
  return true
end

--- Calls a function with each client that has callbacks due, and forgets that it has.
---@param run fun(client: table)
function M.each_due(run)
  local clients = due_clients
  due_clients = {}
  for client in pairs(clients) do
    run(client)
  end
end

--- After a fork the entries are the parent's: it gets the answers, and nobody waits for them here.
function M.forsake_parent()
  local now = engine and engine:forsake() or generation
  if now ~= generation then
    generation = now
    M.each_due(function(client)
      local entry = queue.pop(client.due)
      while entry do
        done(entry)
        entry = queue.pop(client.due)
      end
    end)
    for ticket, entry in pairs(entries) do
      entries[ticket] = nil
      done(entry)
    end
  end
end

return M
