--- This Lua state's one engine, and the answers that came back for somebody else.
--
-- The engine is shared by all clients. It has no thread until something is submitted, so a program
-- may load the library, make clients and fork before that.
local core = require "sendapi.core"

local M = {}

local engine
local answers = {} -- by ticket: false when delivered, else the failure

--- The engine, made by the first client.
---@return userdata
function M.get()
  engine = engine or core.engine()
  return engine
end

--- Takes all the answers there are. Never waits.
local function collect()
  local ticket, failure = engine:take()
  while ticket do
    answers[ticket] = failure or false
    ticket, failure = engine:take()
  end
end

--- The answer to a ticket, if it has come; it is given once. Never waits.
---@param ticket integer
---@return boolean answered
---@return table|nil failure nil when it was delivered
function M.answer(ticket)
  if answers[ticket] == nil then
    collect()
  end
  local failure = answers[ticket]
  answers[ticket] = nil
  return failure ~= nil, failure or nil
end

return M
