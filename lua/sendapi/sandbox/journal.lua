--- Waits for what stands in a sandbox's journal, of which only what is new is read each time.
local cjson = require "cjson"
local core = require "sendapi.core"

local LOOKS_EVERY = 0.02 -- seconds

local M = {}

---@class sendapi.sandbox.Wanted
---@field thread string|number|nil  `thread_id` of the params, or `id` of a threads.create
---@field action string|nil
---@field source string|nil         source id
---@field count integer|nil         how many, 1
---@field seconds number|nil        how long to wait, 5; 0 looks once

---@class sendapi.sandbox.Journal
---@field path string
---@field position integer bytes read so far
local Journal = {}
Journal.__index = Journal

---@param path string
---@return sendapi.sandbox.Journal
function M.open(path)
  return setmetatable({ path = path, position = 0 }, Journal)
end

--- The whole lines that came since the last call. One that is emptied meanwhile begins anew.
function Journal:read()
  local file = io.open(self.path, "rb")
  if not file then
    return ""
  end
  if file:seek "end" < self.position then
    self.position = 0
  end
  file:seek("set", self.position)
  local text = file:read "*a" or ""
  file:close()
  local whole = text:match "^.*\n" or ""
  self.position = self.position + #whole
  return whole
end

local function thread_of(entry)
  local params = type(entry.params) == "table" and entry.params or {}
  local id = params.thread_id
  if id == nil and entry.action == "threads.create" then
    id = params.id
  end
  return id
end

local function is_wanted(entry, wanted)
  return entry.status == 200
    and (wanted.thread == nil or tostring(thread_of(entry)) == tostring(wanted.thread))
    and (wanted.action == nil or entry.action == wanted.action)
    and (wanted.source == nil or entry.source_id == wanted.source)
end

local function in_thread(thread)
  return thread ~= nil and (" in thread %s"):format(tostring(thread)) or ""
end

--- One request in a few words.
local function describe(entry)
  local what = (entry.action or "a request") .. in_thread(thread_of(entry))
  if entry.status == 200 then
    return what
  end
  local came_of_it = entry.status and ("%d %s"):format(entry.status, entry.text or "")
    or ("fault %s"):format(entry.fault or "unknown")
  return ("%s (%s)"):format(what, came_of_it)
end

local function what_came_instead(others, last)
  if others == 0 then
    return "nothing else came"
  end
  return ("%d other request%s came, the last: %s"):format(
    others,
    others == 1 and "" or "s",
    describe(last)
  )
end

local function complaint(wanted, found, others, last)
  return ("%d of %d %s%s within %g s; %s"):format(
    #found,
    wanted.count or 1,
    wanted.action or "requests",
    in_thread(wanted.thread),
    wanted.seconds or 5,
    what_came_instead(others, last)
  )
end

--- Waits for accepted requests.
---@param wanted sendapi.sandbox.Wanted
---@return sendapi.sandbox.Entry[]|nil entries all that are wanted so far, in the order of arrival
---@return string|nil message what came instead
function Journal:wait_for(wanted)
  local found, others, last = {}, 0, nil
  local until_ = core.now() + (wanted.seconds or 5)
  while true do
    local is_late = core.now() >= until_
    for line in self:read():gmatch "[^\n]+" do
      local entry = cjson.decode(line)
      if is_wanted(entry, wanted) then
        found[#found + 1] = entry
      else
        others, last = others + 1, entry
      end
    end
    if #found >= (wanted.count or 1) then
      return found
    elseif is_late then
      return nil, complaint(wanted, found, others, last)
    end
    core.sleep(LOOKS_EVERY)
  end
end

return M
