--- What a conformance run says to a connector, and what it hears.
--
-- A case fails by `fail`, which leaves it at once: the runner catches that, and nothing else.
local cjson = require "cjson"
local core = require "sendapi.core"
local reader = require "sendapi.check.reader"

local SIGNATURE = "X-SMCCSDK-SIGNATURE"
local SHOWN = 300 -- bytes of a body in a report

local Failure = {} -- the metatable of what a case fails by

---@class sendapi.check.Exchange
---@field request string the body
---@field signed string how: "in the header", "in the query", "not at all"
---@field status integer|nil
---@field headers table<string, string>
---@field body string
---@field message string|nil why there is no answer

---@class sendapi.check.Session
---@field url string
---@field signer userdata
---@field last sendapi.check.Exchange|nil of the case that runs
---@field answers sendapi.check.Exchange[] every 2xx to a request that is in order
local Session = {}
Session.__index = Session

local M = {}

---@param url string
---@param token string
---@param settings { timeout: number?, ca_file: string? }
---@return sendapi.check.Session
function M.new(url, token, settings)
  return setmetatable({
    url = url,
    token = token,
    signer = core.signer(token),
    timeout = settings.timeout,
    ca_file = settings.ca_file,
    answers = {},
  }, Session)
end

--- Ends the case as failed.
---@param sentence string what to change, for somebody who writes a connector in any language
function M.fail(sentence, ...)
  local text = select("#", ...) > 0 and sentence:format(...) or sentence
  error(setmetatable({ verdict = "failed", sentence = text }, Failure), 0)
end

--- Ends the case: it says nothing about this connector, and why.
function M.skip(sentence)
  error(setmetatable({ verdict = "not applicable", sentence = sentence }, Failure), 0)
end

--- Whether something that was raised is a case's end, and not a mistake of this program.
function M.is_end(raised)
  return getmetatable(raised) == Failure
end

local fail = M.fail

function Session:sign(body)
  return self.signer:sign(body)
end

local function with_query(url, hex)
  url = url:gsub("#.*$", "")
  return url .. (url:find("?", 1, true) and "&" or "?") .. "signature=" .. hex
end

--- Posts a body. `header` and `query` are signatures; false or nil: none.
---@return sendapi.check.Exchange
function Session:post(body, header, query)
  local headers = { "Content-Type: application/json; charset=utf-8" }
  if header then
    headers[2] = SIGNATURE .. ": " .. header
  end
  local answer, message = core.exchange {
    url = query and with_query(self.url, query) or self.url,
    body = body,
    headers = headers,
    timeout = self.timeout,
    ca_file = self.ca_file,
  }
  local signed = header and "in the header" or query and "in the query" or "not at all"
  local exchange = answer or { message = message, headers = {}, body = "" }
  exchange.request, exchange.signed = body, signed
  self.last = exchange
  return exchange
end

--- Posts a body that has to be answered by something.
---@return sendapi.check.Exchange
function Session:get_answer(body, header, query)
  local exchange = self:post(body, header, query)
  if not exchange.status then
    local sentence = "No answer came (%s). Answer every request by a status, in good time, also "
      .. "one that you refuse."
    fail(sentence, exchange.message)
  end
  return exchange
end

local function is_success(exchange)
  return exchange.status >= 200 and exchange.status <= 299
end

M.is_success = is_success

--- A request as Engage Digital writes it.
---@param action string
---@param params table|nil
---@return string body
function M.request(action, params)
  return cjson.encode {
    action = action,
    params = params,
    time = os.date "!%Y-%m-%dT%H:%M:%SZ",
  }
end

--- Posts a body, signed, that has to be accepted, and reads what comes back.
---@return any value see reader.lua
function Session:ask_body(body)
  local exchange = self:get_answer(body, self:sign(body))
  if not is_success(exchange) then
    local sentence = "A request that is in order was refused with the status %d. Answer it with "
      .. "200 and signed JSON."
    fail(sentence, exchange.status)
  end
  self.answers[#self.answers + 1] = exchange
  local is_json, value = reader.read(exchange.body)
  if not is_json then
    fail("The answer is not JSON in UTF-8: %s. Use a JSON encoder for all of it.", value)
  end
  return value
end

---@param action string
---@param params table|nil
---@return any value
function Session:ask(action, params)
  return self:ask_body(M.request(action, params))
end

--- The error in what was answered: the protocol's "resource error".
---@return { message: any, fatal: any }|nil
function M.resource_error(value)
  return reader.is_object(value) and reader.is_object(value.error) and value.error or nil
end

--- The same, where a resource error is none of the answers allowed.
function Session:ask_well(action, params)
  local value = self:ask(action, params)
  if M.resource_error(value) then
    fail("%s was answered by an error. It has to succeed here.", action)
  end
  return value
end

--- Text without the token, whoever said it.
function Session:redact(text)
  local parts, at = {}, 1
  local first, last = text:find(self.token, at, true)
  while first do
    parts[#parts + 1] = text:sub(at, first - 1) .. "(the token)"
    at = last + 1
    first, last = text:find(self.token, at, true)
  end
  return table.concat(parts) .. text:sub(at)
end

--- What a terminal can show: one line of UTF-8, or else of ASCII.
local function printable(text)
  local line = text:gsub("[%z\1-\31\127]", " ")
  local is_utf8 = reader.read('"' .. line:gsub('["\\]', " ") .. '"')
  return is_utf8 and line or (line:gsub("[\128-\255]", "?"))
end

--- Where text can be cut at a number of bytes without cutting a character.
local function boundary(text, last)
  while last > 0 and text:find("^[\128-\191]", last + 1) do
    last = last - 1
  end
  return last
end

--- Text for a report: short, printable, and without the token.
function Session:show(text)
  local safe = printable(self:redact(text))
  if #safe <= SHOWN then
    return safe
  end
  return ("%s... (%d bytes)"):format(safe:sub(1, boundary(safe, SHOWN)), #text)
end

--- What was sent last, and what came back.
---@return string|nil sent
---@return string|nil received
function Session:describe_last()
  local last = self.last
  if not last then
    return nil
  end
  local sent = ("%s (signed %s)"):format(self:show(last.request), last.signed)
  if not last.status then
    return sent, "nothing: " .. self:show(last.message)
  end
  return sent, ("%d %s"):format(last.status, self:show(last.body))
end

function Session:close()
  self.signer:close()
end

return M
