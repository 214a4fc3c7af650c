--- An outbox seen from outside, without a client: what waits in it, and its dead letters.
--
-- Nothing is delivered from here, and nothing is made that is not there. Every call blocks; those
-- that fail return nil and a sentence, which holds neither a password nor a message's text.
local core = require "sendapi.core"
local letter_filter = require "sendapi.letter_filter"
local options = require "sendapi.options"

local M = {}

local PAGE = 100 -- rows or letters of one answer, unless told otherwise

---@class sendapi.StoreFigures of one source
---@field pending integer
---@field pending_bytes integer of their bodies
---@field dead integer
---@field oldest number? when the oldest pending one was accepted, in seconds since 1970

---@class sendapi.StorePage
---@field after integer? only those with higher ids; 0
---@field limit integer? 100
---@field body boolean?  with their bodies

---@class sendapi.Store
---@field private handle userdata
local Store = {}
Store.__index = Store
Store.__name = "sendapi.Store"

local URLS = { redis = true, ["redis+unix"] = true, rediss = true }

--- What begins a place that may be a url, though it is none of ours; or nil.
local function beginning_of_url(place)
  if place:find("://", 1, true) then
    return (place:match "^(%a[%w+.-]*)://" or "") .. "://..."
  elseif place:find "^[Rr][Ee][Dd][Ii][Ss][%w+]*[:/]/" or place:find "^file:" then
    return place:match "^%a+" .. "..."
  end
end

--- The name of the store that a place is for, or nil and why there is none. Of what may be a url
-- the scheme alone is quoted: a password may stand behind it.
local function store_of(place)
  if URLS[place:match "^(%a[%w+.-]*)://"] then
    return "redis"
  end
  local beginning = beginning_of_url(place)
  if beginning then
    return nil,
      ("expected a path, or a url that begins with redis:// or redis+unix://, got '%s'"):format(
        options.printable(beginning)
      )
  elseif place == ":memory:" then
    return nil, "what is in memory only survives nothing: expected the path of a file"
  end
  return "sqlite"
end

local HEADERS = { sqlite = "libsqlite3-dev", redis = "libhiredis-dev" }

--- What Lua says, in a line, but for all the places where it looked.
local function lacks(name, reason)
  reason = (reason:match "^module '[%w.]+' not found" or reason):gsub("%s+", " ")
  return ("there is no store for %s, which is built where there is %s: %s"):format(
    name,
    HEADERS[name],
    reason
  )
end

--- The driver that keeps what a place names; or nil, and why there is none.
---@param place string a path, or a url
---@return userdata|nil driver
---@return string|nil message without a password
function M.driver(place)
  local name, message = store_of(place)
  if not name then
    return nil, message
  end
  local is_found, driver = pcall(require, "sendapi.store." .. name)
  if not is_found then
    return nil, lacks(name, tostring(driver))
  end
  message = core.check_store(driver, place)
  if message then
    return nil, message
  end
  return driver
end

--- Opens an outbox that is there.
---@param place string a path (SQLite), or a `redis://` url
---@return sendapi.Store|nil
---@return string|nil message
function M.open(place)
  local driver, message = M.driver(place)
  local handle
  if driver then
    handle, message = core.store(driver, place)
  end
  return handle and setmetatable({ handle = handle }, Store), message
end

--- The sources that have something pending, or dead letters.
---@return string[]|nil
---@return string|nil message
function Store:sources()
  return self.handle:sources()
end

---@param source string
---@return sendapi.StoreFigures|nil
---@return string|nil message
function Store:figures(source)
  return self.handle:figures(source)
end

--- Dead letters, by ascending ids.
---@param source string
---@param page sendapi.StorePage|nil
---@return sendapi.Letter[]|nil
---@return string|nil message
function Store:letters(source, page)
  page = page or {}
  return self.handle:letters(source, page.after or 0, page.limit or PAGE, page.body)
end

--- Pending messages, likewise: letters without what tells of their death.
---@param source string
---@param page sendapi.StorePage|nil
---@return sendapi.Letter[]|nil
---@return string|nil message
function Store:look(source, page)
  page = page or {}
  return self.handle:look(source, page.after or 0, page.limit or PAGE, page.body)
end

--- What the core takes; raises at the caller's caller.
local function chosen(which)
  if type(which) ~= "table" then
    return which
  end
  local filter, message = letter_filter.read(which)
  return filter or error(message, 3)
end

--- Makes dead letters pending again: one by its id, or those that a filter matches. When it fails,
-- some may be pending already.
---@param source string
---@param which integer|sendapi.LetterFilter
---@return integer|nil count how many there were
---@return string|nil message
function Store:retry(source, which)
  return self.handle:retry(source, chosen(which))
end

--- Forgets dead letters, likewise.
---@param source string
---@param which integer|sendapi.LetterFilter
---@return integer|nil count
---@return string|nil message
function Store:discard(source, which)
  return self.handle:discard(source, chosen(which))
end

--- What is called afterwards raises.
function Store:close()
  self.handle:close()
end

return M
