--- What a client keeps to itself: made of the arguments of `sendapi.client`, with its signer, its
-- endpoint in the core, and its end when nothing refers to it any more.
local core = require "sendapi.core"
local drive = require "sendapi.drive"
local engine = require "sendapi.engine"
local log = require "sendapi.log"
local options = require "sendapi.options"
local outbox = require "sendapi.outbox"
local queue = require "sendapi.queue"
local typing = require "sendapi.typing"
local url = require "sendapi.url"
local version = require "sendapi.version"

local M = {}

-- The states of all clients there are, for `sendapi.prometheus`.
local states = setmetatable({}, { __mode = "k" })

local USER_AGENT = ("sendapi/%s (%s) libcurl/%s"):format(version, _VERSION, core.libcurl)

--- What the core needs to know of a client's options.
local function open_endpoint(source_id, resolved, source_url, store)
  local retry = resolved.retry
  local asks = type(retry) == "function"
  return engine.get():open {
    store = store.driver,
    outbox = resolved.outbox,
    source = source_id,
    signer = store.driver and store.signer,
    is_process_only = resolved.durability == "process",
    tag = store.tag,
    url = source_url,
    user_agent = USER_AGENT,
    ca_file = resolved.ca_file,
    proxy = resolved.proxy,
    timeout = resolved.timeout,
    connect_timeout = resolved.connect_timeout,
    connections = resolved.connections,
    max_pending = resolved.max_pending,
    max_pending_bytes = resolved.max_pending_bytes,
    http2 = resolved.http2,
    asks = asks,
    attempts = asks and 1 or retry.attempts,
    first = not asks and retry.first or 0,
    longest = not asks and retry.longest or 0,
  }
end

local function check_readable(path)
  local file, message = io.open(path, "rb")
  if not file then
    return "option 'ca_file': " .. message
  end
  local _
  _, message = file:read(1) -- a directory opens, but cannot be read
  file:close()
  return message and ("option 'ca_file': %s: %s"):format(path, message)
end

--- What is wrong with the arguments of `new`, or the options resolved, the url, and the outbox's
-- driver.
---@param source_id any
---@param token any
---@param given any
---@return table|nil resolved
---@return string answer the url of the source, or what is wrong
---@return any driver of the outbox, if there is one
function M.prepare(source_id, token, given)
  if type(source_id) ~= "string" or source_id == "" then
    return nil, ("source_id: expected a string that is not empty, got %s"):format(
      source_id == "" and "an empty one" or "a " .. type(source_id)
    )
  end
  if type(token) ~= "string" or token == "" then
    return nil, "token: expected the source's access token, a string that is not empty"
  end
  local resolved, message = options.resolve(given)
  if not resolved then
    return nil, message
  end
  message = resolved.ca_file and check_readable(resolved.ca_file)
  if message then
    return nil, message
  end
  local driver
  if resolved.outbox then
    driver, message = outbox.driver(resolved.outbox)
    if not driver then
      return nil, message
    end
  end
  local source_url
  source_url, message = url.of_source(resolved, source_id)
  return source_url and resolved, message or source_url, driver
end

--- Has a function called when a table is collected.
local function when_collected(object, finalize)
  local newproxy = rawget(_G, "newproxy")
  if newproxy then -- Lua 5.1 and LuaJIT have no __gc for tables
    object.sentinel = newproxy(true)
    getmetatable(object.sentinel).__gc = finalize
    return object
  end
  return setmetatable(object, { __gc = finalize })
end

local last -- is made after each state, so that it is finalized before all of them when Lua ends
local is_ending = false

local function make_last()
  local object = {}
  last = when_collected(object, function()
    is_ending = is_ending or last == object
  end)
end

--- A state that nothing refers to any more has nothing under way, unless Lua itself ends: then it
-- is given the time that the option `close_timeout` says. The collector waits for no outbox.
local function close_when_collected(state)
  return when_collected(state, function()
    states[state] = nil
    state.ended = rawget(_G, "ngx") ~= nil -- whose requests are gone: nothing of theirs may run
    state.options.runtime = "blocking"
    if is_ending or not drive.abandon(state) then
      drive.close(state, nil, true)
    end
  end)
end

--- The signer and the endpoint come first, so that they are finalized last. What is passed
-- came of `prepare`.
---@return table state
function M.new(source_id, token, resolved, source_url, driver)
  local tag, signer = engine.new_tag(), core.signer(token)
  local store = { driver = driver, signer = signer, tag = tag }
  local state = close_when_collected {
    source_id = source_id,
    options = resolved,
    log = log.guarded(resolved.log),
    operations = {},
    typing = typing.new(),
    due = queue.new(),
    notices = queue.new(),
    hear = outbox.hear,
    signer = signer,
    endpoint = open_endpoint(source_id, resolved, source_url, store),
  }
  make_last()
  engine.set_tag(state, tag)
  if driver then
    outbox.begin(state)
  end
  states[state] = true
  return state
end

--- Calls a function with the source id and the figures of each client there is.
---@param visit fun(source_id: string, stats: sendapi.Stats, outbox: string|nil) what the option of
-- that name says, unless the client is closed
function M.each(visit)
  engine.forsake_parent()
  for state in pairs(states) do
    local place = not state.finished and state.options.outbox or nil
    visit(state.source_id, state.endpoint:stats(), place)
  end
end

return M
