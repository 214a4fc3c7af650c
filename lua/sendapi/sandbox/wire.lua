--- One signed exchange with a connector, and what may be wrong with its answer.
--
-- Pure, as the poller is, whose half this is.
local cjson = require "cjson"
local json = require "sendapi.json"

local SIGNATURE = "x-smccsdk-signature"
local TRIES = 3 -- of what changes something
local MOST_EXCHANGES = 200 -- that are kept
local QUOTED = 200 -- bytes of an answer in a problem's sentence

---@class sendapi.sandbox.Problem
---@field code string `no_answer`, `status`, `signature`, `not_json`, `shape`, `resource_error`,
---  `endless`, `unknown`, `not_implemented`
---@field message string a sentence
---@field action string
---@field status integer|nil
---@field fatal boolean|nil of a resource error: it is not tried again

---@class sendapi.sandbox.Exchange
---@field action string
---@field request string the body
---@field status integer|nil
---@field answer string|nil the body, or why there is none
---@field verdict string `ok`, or the problem's code

local M = {}

--- ISO 8601, of seconds since 1970.
function M.date(now)
  return os.date("!%Y-%m-%dT%H:%M:%SZ", math.floor(now))
end

--- An id as text; nil when it is none.
function M.text_of(id)
  if type(id) == "number" then
    return id % 1 == 0 and ("%.0f"):format(id) or tostring(id)
  end
  return type(id) == "string" and id ~= "" and id or nil
end

--- An answer made fit for a sentence: no character is cut in two.
local function quote(answer)
  local text = answer:gsub("[%z\1-\31\127]", " ")
  if #text <= QUOTED then
    return text
  end
  local last = QUOTED
  while text:find("^[\128-\191]", last + 1) do
    last = last - 1
  end
  return text:sub(1, last) .. "..."
end

local function header(headers, wanted)
  for name, value in pairs(headers or {}) do
    if type(name) == "string" and name:lower() == wanted then
      return value
    end
  end
end

---@return sendapi.sandbox.Problem
function M.problem(action, code, message, more)
  local found = more or {}
  found.action, found.code, found.message = action, code, message
  return found
end

--- Removes nulls, which mean the same as nothing.
function M.without_nulls(value)
  if type(value) == "table" then
    for key, item in pairs(value) do
      if item == json.null then
        value[key] = nil
      else
        M.without_nulls(item)
      end
    end
  end
  return value
end

local function resource_error(action, value)
  local said = json.type(value) == "object" and value.error
  if type(said) ~= "table" then
    return nil
  end
  local text = type(said.message) == "string" and quote(said.message) or "no message"
  local more = { fatal = said.fatal == true }
  return M.problem(action, "resource_error", "resource error: " .. text, more)
end

local function problem_of_status(action, status, answer)
  if not status then
    return M.problem(action, "no_answer", "no answer: " .. quote(tostring(answer)))
  elseif type(status) ~= "number" or status < 200 or status > 299 then
    local message = ("status %s: %s"):format(tostring(status), quote(answer))
    return M.problem(action, "status", message, { status = status })
  end
end

--- What a signed answer holds.
---@return any value
---@return sendapi.sandbox.Problem|nil
local function read(self, action, answer, headers)
  local settings = self.settings
  local given = header(headers, SIGNATURE)
  if type(given) ~= "string" or given:lower() ~= settings.sign(settings.token, answer) then
    local what = given and "wrong" or "missing"
    return nil, M.problem(action, "signature", "the signature of the answer is " .. what)
  end
  local is_json, value = json.decode(answer)
  if not is_json then
    return nil, M.problem(action, "not_json", "the answer: " .. value)
  end
  return value, resource_error(action, value)
end

local function remember(self, exchange)
  table.insert(self.wire, exchange)
  if #self.wire > MOST_EXCHANGES then
    table.remove(self.wire, 1)
  end
end

--- One exchange. `is_any` lets every answer of a 2xx pass unread.
---@param self sendapi.sandbox.Poller
---@param action string
---@param params table|nil
---@param is_any boolean|nil
---@return any value nil with a problem
---@return sendapi.sandbox.Problem|nil
function M.ask(self, action, params, is_any)
  local settings = self.settings
  local time = M.date(settings.now())
  local body = cjson.encode { action = action, params = params, time = time }
  local status, answer, headers = settings.exchange(body, settings.sign(settings.token, body))
  answer = answer or ""
  local value
  local found = problem_of_status(action, status, answer)
  if not found and not is_any then
    value, found = read(self, action, answer, headers)
  end
  remember(self, {
    action = action,
    request = body,
    status = status,
    answer = answer,
    verdict = found and found.code or "ok",
  })
  if found then
    found.status = status
    return nil, found
  end
  return value, nil
end

--- Asks until it is answered well, at most three times; `params.retry`, when it is there, is true
-- from the second on. `check` says what is wrong with a value.
---@param self sendapi.sandbox.Poller
---@param check fun(action: string, value: any): sendapi.sandbox.Problem|nil
---@return any value
---@return sendapi.sandbox.Problem|nil
function M.ask_again(self, action, params, check)
  local value, found
  for try = 1, TRIES do
    if params.retry ~= nil then
      params.retry = try > 1
    end
    value, found = M.ask(self, action, params)
    found = found or check(action, value)
    if not found or found.fatal then
      break
    end
  end
  if found then
    return nil, found
  end
  return M.without_nulls(value)
end

return M
