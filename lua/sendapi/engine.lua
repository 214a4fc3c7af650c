--- This Lua state's one engine, and who waits for which answer.
--
-- The engine is shared by all clients. It has no thread until something is submitted, so a program
-- may load the library, make clients and fork before that.
--
-- For each call that was accepted there is an entry until its outcome is known:
--
--   client    the client's state (state.lua)
--   action    its name, for the error
--
-- Calls with a callback have it beside the entry, which they share with others of the client and
-- the action. It is called with the outcome by the client's `poll`. Without one somebody waits, and
-- the entry is the call's own:
--
--   answered  true once the outcome is known, `failure` being nil when it was delivered
--   wake      called then; or nil
--   callback  called then by the client's `poll`, nothing else being done; or nil
--
-- What is asked of an outbox has an entry of its own, too:
--
--   convert   makes the core's answer the caller's, which is `value` then
local core = require "sendapi.core"
local errors = require "sendapi.error"
local queue = require "sendapi.queue"

local M = {}

local engine
local entries, callbacks = {}, {} -- by ticket
local early = {} -- by ticket: the outcome of what a finalizer or a hook took before it was expected
local due_clients = {} -- the states that have something in `due` -> whether `each_due` shall tell
local generation = 0 -- of forks, as the core counts them
local by_tag = setmetatable({}, { __mode = "v" }) -- clients, as the core's notices name them
local last_tag = 0

--- The engine, made by the first client.
---@return userdata
function M.get()
  engine = engine or core.engine()
  return engine
end

--- A number by which notices name a client.
---@return integer
function M.new_tag()
  last_tag = last_tag + 1
  return last_tag
end

function M.set_tag(client, tag)
  by_tag[tag] = client
end

--- After a fork what is under way is the parent's: it gets the answers, and nobody waits for them
-- here.
local function forget_all()
  for client in pairs(due_clients) do
    while queue.pop(client.due) do -- luacheck: ignore
    end
  end
  entries, callbacks, early, due_clients = {}, {}, {}, {}
end

local function follow_fork(now)
  if now ~= generation then
    generation = now
    forget_all()
  end
end

--- Forgets what was under way before a fork, if there was one. `expect` does so too.
function M.forsake_parent()
  if engine then
    follow_fork(engine:forsake())
  end
end

--- A number that is another in a child process, once something was sent or asked in its parent.
---@return integer
function M.generation()
  M.forsake_parent()
  return generation
end

--- How many notices of a client are due: `notices` has their places in `due`.
---@return integer
function M.notices_of(client)
  local places = client.notices
  while not queue.is_empty(places) and places[places.first] < client.due.first do
    queue.pop(places)
  end
  return queue.length(places)
end

local function calls_due(client)
  return queue.length(client.due) - M.notices_of(client)
end

--- How many calls of a client wait for their answer or for their callback to be run. They are
-- counted where they are: a hook that raises anywhere leaves no wrong figure behind.
---@return integer
function M.pending(client)
  return client.endpoint:pending() + calls_due(client)
end

--- Whether any client waits for an answer, or has a callback to run.
function M.is_busy()
  if engine and engine:pending() > 0 then
    return true
  end
  for client in pairs(due_clients) do
    if calls_due(client) > 0 then
      return true
    elseif queue.is_empty(client.due) then
      due_clients[client] = nil
    end
  end
  return false
end

--- Whether `collect_one` would find something, now.
function M.has_answers()
  return M.get():wait(0)
end

local function trace(message)
  return debug.traceback(tostring(message), 2)
end

-- What `call_next` calls, and with what: Lua 5.1's xpcall passes no arguments on.
local next_callback, next_value, next_err

local function call_next()
  local callback, value, err = next_callback, next_value, next_err
  next_callback, next_value, next_err = nil, nil, nil
  callback(value, err)
end

--- Calls with two arguments. An error is logged, and stops nothing.
local function call(client, callback, value, err)
  next_callback, next_value, next_err = callback, value, err
  local fine, message = xpcall(call_next, trace)
  if not fine then
    client.log("error", "a callback failed: " .. message)
  end
end

--- Runs the callback of a call that is done.
local function run(client, action, callback, value, failure)
  local err = failure and errors.new(failure, action) or nil
  if client.ended then
    if err then
      io.stderr:write("sendapi: ", err.action, " was not delivered: ", tostring(err), "\n")
    end
    return
  end
  call(client, callback, value, err)
end

local function make_due(client, due)
  due_clients[client] = true
  queue.push(client.due, due)
end

--- Has a function called by the client's `poll`, with what was told.
function M.notify(client, callback, argument)
  make_due(client, { is_notice = true, callback = callback, value = argument })
  queue.push(client.notices, client.due.last)
end

local function wake(entry)
  entry.answered = true
  if entry.wake then
    entry.wake()
  end
end

--- The outcome goes to whoever waits for it, or to the client's queue; or, when that client polls,
-- to the callback itself.
---@return boolean run
local function deliver(entry, callback, failure, answer, polling)
  local value = not failure or nil
  if value and entry.convert then
    value = entry.convert(answer)
  end
  if not callback then
    entry.failure, entry.value = failure, value
    callback = entry.callback
  end
  local client = entry.client
  if not callback then
    wake(entry)
  elseif client == polling then
    run(client, entry.action, callback, value, failure)
    return true
  else
    local action = entry.action
    make_due(client, { action = action, callback = callback, value = value, failure = failure })
  end
  return false
end

--- Notes what the core has accepted.
---@param ticket integer
---@param now integer    the generation that came with it
---@param entry table    a waiting call's own, or one that is shared
---@param callback function|nil
function M.expect(ticket, now, entry, callback)
  follow_fork(now)
  local outcome = early[ticket]
  if outcome then
    early[ticket] = nil
    deliver(entry, callback, outcome.failure, outcome.answer)
  else
    entries[ticket], callbacks[ticket] = entry, callback
  end
end

--- Asks the client's `retry` function. Whatever it answers but a number of seconds means "no".
local function ask(entry, failure)
  if entry.client.ended or entry.client.cancelled then
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

local function hear(notice, failure)
  local client = by_tag[notice.tag]
  if client then
    client.hear(client, notice, failure)
  end
end

--- Decides about a failed attempt; true when it is made again.
local function is_made_again(entry, failure, question)
  local seconds = ask(entry, failure)
  if seconds and question:again(seconds) then
    return true
  end
  question:release()
  return false
end

--- Takes one answer, if there is one. Never waits.
---@param polling table|nil a client with nothing due, whose callback runs at once
---@return boolean taken
---@return boolean|nil run whether one did
function M.collect_one(polling)
  local ticket, failure, question = engine:take()
  if not ticket then
    return false
  elseif ticket == 0 then
    hear(question, failure)
    return true
  end
  local answer
  if type(question) == "table" then
    question, answer = nil, question
  end
  local entry, callback = entries[ticket], callbacks[ticket]
  if not entry then -- not expected yet; or never, when a hook (Ctrl-C) has ended its call
    if question then
      question:release()
    end
    early[ticket] = { failure = failure, answer = answer }
    return true
  end
  if question and is_made_again(entry, failure, question) then
    return true
  end
  entries[ticket], callbacks[ticket] = nil, nil
  return true, deliver(entry, callback, failure, answer, polling)
end

--- Takes all the answers there are. Never waits.
function M.collect()
  M.get():calm()
  while M.collect_one() do -- luacheck: ignore
  end
end

--- Runs the next callback of a client, if one is due; none of the parent's in a child that a
-- callback has made.
---@return boolean run
function M.run_one(client)
  M.forsake_parent()
  local due = queue.pop(client.due)
  if not due then
    return false
  end
  if queue.is_empty(client.due) then
    due_clients[client] = nil
  end
  if due.is_notice then
    call(client, due.callback, due.value)
  else
    run(client, due.action, due.callback, due.value, due.failure)
  end
  return true
end

--- Runs the next callback of a client that polls, or takes an answer. Never waits.
---@return boolean done
---@return boolean|nil run whether a callback was
function M.advance(client)
  if queue.is_empty(client.due) then
    return M.collect_one(client)
  end
  return true, M.run_one(client)
end

--- Calls a function with each client that has got callbacks due since it was told last.
---@param visit fun(client: table)
function M.each_due(visit)
  local untold = {}
  for client, is_untold in pairs(due_clients) do
    untold[#untold + 1] = is_untold and client or nil
  end
  for _, client in ipairs(untold) do
    if due_clients[client] then
      due_clients[client] = false
      visit(client)
    end
  end
end

return M
