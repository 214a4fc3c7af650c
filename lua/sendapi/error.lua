--- What a failed call returns: `nil, err`.
--
-- `err` is a table that prints and joins like a string. Its `code` is stable, its words are not.
local core = require "sendapi.core"

---@class sendapi.Error
---@field code string       one of `codes` below
---@field message string    for people; never holds the token
---@field class "transient"|"throttled"|"source"|"message"|"local" what is at fault
---@field retryable boolean whether the same call may succeed later
---@field action string     "messages.create"
---@field attempts integer  how often it was sent; 0 when it never left
---@field status integer?   HTTP, when there was an answer
---@field body string?      what the server said, at most 4096 bytes
---@field field string?     with `invalid_params`: the path of what is wrong
---@field pending integer?  of `client:flush` alone: how many requests are still under way
local Error = {}
Error.__index = Error
Error.__name = "sendapi.Error"

function Error:__tostring()
  return self.code .. ": " .. self.message
end

function Error.__concat(left, right)
  return tostring(left) .. tostring(right)
end

local RETRYABLE = { transient = true, throttled = true }
local RETRYABLE_CODES = { storage = true }
local SHOWN = 200 -- bytes of a server's text that a message quotes

local by_code = {}
for _, failure in ipairs(core.failures) do
  by_code[failure.code] = failure
end

local function printable(text)
  local shown = text:sub(1, SHOWN):gsub("%s+", " "):gsub("[^ -~]", "?")
  return shown:gsub("^ ", ""):gsub(" $", "") .. (#text > SHOWN and "..." or "")
end

--- The sentence, and in brackets what the server or libcurl said.
local function explain(failure)
  local details = {}
  if failure.status then
    details[1] = "HTTP " .. failure.status
  end
  if failure.reason then
    details[#details + 1] = printable(failure.reason)
  elseif failure.body then
    details[#details + 1] = printable(failure.body)
  end
  local sentence = failure.message or by_code[failure.code].message
  if #details == 0 then
    return sentence
  end
  return ("%s (%s)"):format(sentence, table.concat(details, ": "))
end

local M = {
  ---@type { code: string, class: string, message: string }[] every code there is
  codes = core.failures,
}

--- Makes an error of what the core says: a problem with the params, or an outcome.
---@param failure table  `code`, perhaps `message`, `class`, `field`, `status`, `body`, `attempts`
---@param action string
---@return sendapi.Error
function M.new(failure, action)
  local class = failure.class or by_code[failure.code].class
  return setmetatable({
    code = failure.code,
    message = explain(failure),
    class = class,
    retryable = RETRYABLE[class] or RETRYABLE_CODES[failure.code] or false,
    action = action,
    attempts = failure.attempts or 0,
    status = failure.status,
    body = failure.body,
    field = failure.field,
  }, Error)
end

--- True for what `new` makes.
---@param value any
---@return boolean
function M.is(value)
  return getmetatable(value) == Error
end

return M
