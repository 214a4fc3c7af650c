--- A client's outbox: where its messages are until they are delivered, seen from Lua.
--
-- The core stores and delivers (outbox.c); here is what chooses the store, asks it, and hears what
-- it tells.
local engine = require "sendapi.engine"
local errors = require "sendapi.error"
local letter_filter = require "sendapi.letter_filter"
local runtime = require "sendapi.runtime"
local store = require "sendapi.store"

local M = {}

local NOTICES = 1000 -- that wait for the client's `poll`; further ones are logged only
local PAGE = 100 -- letters of one answer at most
local MOST_ID = 9000000000000000

---@class sendapi.Letter a message that could not be delivered
---@field id integer       its name in the outbox
---@field action string    "messages.create"
---@field code string      a failure's code, as in sendapi.Error
---@field reason string    what the server or libcurl said
---@field status integer?  HTTP, when there was an answer
---@field attempts integer
---@field time number      when it was accepted, or retried last, in seconds since 1970
---@field bytes integer    of its body
---@field died number      when it was given up
---@field lane string?     the conversation's key
---@field body string?     the request's JSON; `on_dead` is not given it

--- What the option `outbox` promises:
--
-- When a call returns `true` the message is committed to stable storage; it is delivered at least
-- once, in order within its conversation, or stands in the dead letters with a reason; it is never
-- dropped silently.
--
-- A call with a function is told so by its function. What states a message has in between, and
-- what leads from one to the other, stands in src/store.h. What Engage Digital says is not known
-- when a call returns: what it refuses becomes a dead letter, which `on_dead` tells of.
--
-- Stable storage is a SQLite file on a disk of one machine (WAL, synchronous=FULL; NORMAL with
-- `durability = "process"`: a loss of power takes the last messages then); or Redis 5 or later,
-- with the durability that it is set up for. `appendonly yes`, `appendfsync always` and
-- `maxmemory-policy noeviction` keep the promise; the log is warned of anything else. A failover
-- to a replica may lose what was confirmed, since replication does not wait. Its urls:
--
--     redis://[[user]:password@]host[:port][/db][?lease=...&prefix=...&timeout=...]
--     redis+unix://[[user]:password@]/path[?db=...&lease=...&prefix=...&timeout=...]
--
-- percent-encoded where need be; port 6379, db 0, a lease of 10 seconds, prefix "sendapi:" and a
-- timeout of 2 seconds unless given.
--
-- Any number of clients, processes and, with Redis, machines append to one outbox. One process at
-- a time delivers a source, and another once it ends: at once with a file, within 10 s with
-- Redis. The bytes and the id are fixed when the call is made, the signature when it is sent. A
-- message is tried for 72 hours; while the source is at fault (a wrong token, say) delivery
-- pauses, probes, and gives nothing up. Make one client of a source in a process, once; of several
-- the newest delivers, and is told of pauses.
---@class sendapi.Outbox
local Outbox = {}
Outbox.__index = Outbox
Outbox.__name = "sendapi.Outbox"

local private = setmetatable({}, { __mode = "k" }) -- the client's state, by outbox

--- The driver that keeps what the option `outbox` names; or nil, and why there is none.
---@param place string a path, or a url
---@return userdata|nil driver
---@return string|nil message without a password
function M.driver(place)
  local driver, message = store.driver(place)
  return driver, message and "option 'outbox': " .. message
end

--- Nginx's master makes clients before it forks: its workers begin with `of`, or a first call.
local function is_before_fork()
  local ngx = rawget(_G, "ngx")
  return type(ngx) == "table" and ngx.get_phase ~= nil and ngx.get_phase() == "init"
end

--- Asks what nobody waits for. The entry has the answer forgotten.
local function ask_unawaited(client, kind)
  local ticket, generation = engine.get():command(client.endpoint, kind)
  if ticket then
    engine.expect(ticket, generation, { action = "outbox." .. kind })
  end
end

--- Delivers what is pending from now on, though nothing be sent, and hears what is told of it.
function M.begin(client)
  if is_before_fork() then
    return
  end
  client.begun = engine.generation()
  ask_unawaited(client, "begin")
  local host = runtime.choose(client.options.runtime, false)
  if host.listen then
    host.listen()
  end
end

local function no() end

--- Delivers no more. The answer, which `flush` waits for, comes when nothing is on its way.
function M.leave(client)
  local ticket, generation = engine.get():command(client.endpoint, "leave")
  if ticket then
    engine.expect(ticket, generation, { client = client, action = "outbox.leave" }, no)
  end
end

--- The same, of a client that is collected: nobody, and no loop, waits for what is on its way.
function M.abandon(client)
  ask_unawaited(client, "abandon")
end

--- Asks the store. Waits for the answer, or calls back with it.
---@return any answer  with a callback: true when it was asked
---@return sendapi.Error|nil err
---@return string|nil misuse to be raised
local function ask(client, entry, callback)
  if client.closed then
    return nil, errors.new({ code = "closed" }, entry.action)
  end
  local host = runtime.choose(client.options.runtime, callback == nil)
  local misuse = host.prepare and host.prepare(callback == nil, client)
  if misuse then
    return nil, nil, misuse
  end
  local ticket, answer =
    engine.get():command(client.endpoint, entry.kind, entry.id, entry.limit)
  if not ticket then
    return nil, errors.new(answer, entry.action)
  end
  engine.expect(ticket, answer, entry, callback)
  if host.accepted then
    host.accepted()
  end
  if callback then
    return true
  end
  host.await(entry)
  if entry.failure then
    return nil, errors.new(entry.failure, entry.action)
  end
  return entry.value
end

--- Makes a method of it, and raises at that method's caller what is misuse.
local function run(self, method, entry, callback)
  local client = self ~= nil and private[self]
  if not client then
    error(("call it with a colon: outbox:%s(...)"):format(method), 3)
  end
  if callback ~= nil and type(callback) ~= "function" then
    error(("expected a function as last argument, got a %s"):format(type(callback)), 3)
  end
  entry.client, entry.action = client, "outbox." .. method
  local answer, err, misuse = ask(client, entry, callback)
  if misuse then
    error(misuse, 3)
  end
  return answer, err
end

local function pending_of(answer)
  return answer.figures.pending
end

local function oldest_of(answer)
  return answer.figures.oldest or false
end

local function letters_of(answer)
  return answer.letters
end

local function count_of(answer)
  return answer.count
end

--- How many messages of the source wait to be delivered, of all processes. Like every method here
-- it waits for the answer, or, with a function, calls back with it.
---@param callback fun(count: integer|nil, err: sendapi.Error|nil)|nil
---@return integer|nil count
---@return sendapi.Error|nil err
function Outbox:pending(callback)
  local answer, err = run(self, "pending", { kind = "figures", convert = pending_of }, callback)
  return answer, err
end

--- When the oldest of them was accepted, in seconds since 1970; false when none waits.
---@param callback fun(time: number|false|nil, err: sendapi.Error|nil)|nil
---@return number|false|nil time
---@return sendapi.Error|nil err
function Outbox:oldest(callback)
  local answer, err = run(self, "oldest", { kind = "figures", convert = oldest_of }, callback)
  return answer, err
end

local page_names = { after = true, limit = true }

--- A whole number in the range of ids (store.h), where numbers are exact in every Lua.
local function is_whole(value, least)
  return type(value) == "number" and value >= least and value <= MOST_ID and value % 1 == 0
end

local function check_page(page)
  for name, value in pairs(page) do
    if not page_names[name] or not is_whole(value, 0) then
      error("dead: expected { after = id, limit = count }", 3)
    end
  end
end

--- The dead letters of the source, by ascending ids, a page at a time.
---@param page { after: integer?, limit: integer? }|nil those after that id; at most 100
---@param callback fun(letters: sendapi.Letter[]|nil, err: sendapi.Error|nil)|nil
---@return sendapi.Letter[]|nil letters
---@return sendapi.Error|nil err
function Outbox:dead(page, callback)
  if type(page) == "function" then
    page, callback = nil, page
  end
  if page ~= nil and type(page) ~= "table" then
    error(("dead: expected a table or a function, got a %s"):format(type(page)), 2)
  end
  page = page or {}
  check_page(page)
  local answer, err = run(self, "dead", {
    kind = "letters",
    id = page.after,
    limit = page.limit or PAGE,
    convert = letters_of,
  }, callback)
  return answer, err
end

--- What the core takes for a letter's id, or for a filter; or nil, and what is wrong.
local function chosen(which)
  if type(which) == "table" then
    return letter_filter.read(which)
  elseif is_whole(which, 1) then
    return which
  end
  return nil, "expected a letter's id or a filter"
end

--- Makes a letter pending again, behind what is, with a new id and 72 hours of its own; or those
-- that a filter matches, or all of them. What dies again meanwhile is not tried once more. With an
-- error some may be pending already.
---@param which integer|sendapi.LetterFilter|nil a letter's id, or a filter; nil: all
---@param callback fun(count: integer|nil, err: sendapi.Error|nil)|nil
---@return integer|nil count how many there were
---@return sendapi.Error|nil err
function Outbox:retry(which, callback)
  if type(which) == "function" then
    which, callback = nil, which
  end
  local id, message = chosen(which == nil and {} or which)
  if not id then
    error("retry: " .. message, 2)
  end
  local answer, err =
    run(self, "retry", { kind = "retry", id = id, convert = count_of }, callback)
  return answer, err
end

--- Forgets a letter, or those that a filter matches.
---@param which integer|sendapi.LetterFilter
---@param callback fun(count: integer|nil, err: sendapi.Error|nil)|nil
---@return integer|nil count how many there were
---@return sendapi.Error|nil err
function Outbox:discard(which, callback)
  local id, message = chosen(which)
  if not id then
    error("discard: " .. message, 2)
  end
  local answer, err =
    run(self, "discard", { kind = "discard", id = id, convert = count_of }, callback)
  return answer, err
end

--- The outbox of a client that has one. In a process that the client was not made in, the delivery
-- begins.
---@return sendapi.Outbox
function M.of(client)
  if client.begun ~= engine.generation() then
    M.begin(client)
  end
  if not client.outbox then
    client.outbox = setmetatable({}, Outbox)
    private[client.outbox] = client
  end
  return client.outbox
end

--- What the program is told, as its option's function wants it.
local function call_later(client, callback, argument)
  if callback and engine.notices_of(client) < NOTICES then
    engine.notify(client, callback, argument)
  end
end

local hear = {}

function hear.died(client, notice)
  local letter = notice.letter
  client.log(
    "warn",
    ("%s, number %d in the outbox, was given up: %s"):format(letter.action, letter.id, letter.code)
  )
  call_later(client, client.options.on_dead, letter)
end

function hear.paused(client, _, failure)
  local err = errors.new(failure, "outbox")
  client.log("error", ("source %s is paused: %s"):format(client.source_id, tostring(err)))
  call_later(client, client.options.on_pause, err)
end

function hear.resumed(client)
  client.log("info", ("source %s is delivered again"):format(client.source_id))
  call_later(client, client.options.on_pause, nil)
end

function hear.warned(client, _, failure)
  client.log("warn", failure.reason)
end

function hear.troubled(client, _, failure)
  client.log("error", tostring(errors.new(failure, "outbox")))
end

--- Takes what the outbox tells: logs it at once; its callback is called by the client's `poll`.
function M.hear(client, notice, failure)
  if not client.ended then
    hear[notice.told](client, notice, failure)
  end
end

return M
