--- A client of the url's source, for the programs that measure through the public calls; and the
-- processor's time of the thread that makes them.
local core = require "sendapi.core"
local message = require "spec.bench.message"
local sendapi = require "sendapi"

local M = {}

--- Nothing comes to this one: a wait on it is a sleep.
local idle

---@param url string of the source
---@param options table what differs from 64 connections and room for everything
---@return sendapi.Client
function M.open(url, options)
  local base_url, source_id = url:match "^(.-)/realtime/sdk/(.+)$"
  local given = {
    base_url = base_url,
    connections = 64,
    max_pending = 1000000,
    max_pending_bytes = 1073741824,
    runtime = "blocking",
  }
  for name, value in pairs(options or {}) do
    given[name] = value
  end
  return sendapi.client(source_id, message.token, given)
end

--- What a callback is told must be good.
function M.check(ok, err)
  return ok or error(tostring(err))
end

function M.sleep(seconds)
  idle = idle or core.engine()
  idle:wait(seconds)
end

--- What that share of the sorted numbers does not exceed.
---@param sorted number[] not empty
---@param share number
---@return number
function M.quantile(sorted, share)
  return sorted[math.max(1, math.ceil(#sorted * share))]
end

local function read(path)
  local file = assert(io.open(path, "r"))
  local text = file:read "*a"
  file:close()
  return text
end

--- Seconds that the calling thread has run, which must be the main one: the I/O thread's are left
-- out. Linux alone tells it, and counts when a thread stops running: so it sleeps before it asks.
---@return number
function M.thread_seconds()
  M.sleep(0.0001)
  return tonumber(read("/proc/self/schedstat"):match "^%d+") * 1e-9
end

--- Bytes that the process has in memory: `now`, or `most`, the most there ever were.
---@param which "now"|"most"
---@return number
function M.resident(which)
  local name = which == "now" and "VmRSS" or "VmHWM"
  return tonumber(read("/proc/self/status"):match(name .. ":%s*(%d+)")) * 1024
end

return M
