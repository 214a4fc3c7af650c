--- Requests that are none, and one that is merely large.
local session_of = require "sendapi.check.session"

local fail, is_success = session_of.fail, session_of.is_success

local PADDING = 1048576 -- bytes

local function expect_refusal(context, body, what, status)
  local session = context.session
  local exchange = session:get_answer(body, session:sign(body))
  if is_success(exchange) then
    local sentence = "%s was answered with the status %d. Answer %s and a short text."
    fail(sentence, what, exchange.status, status)
  end
end

--- For what may be refused by a status or by a resource error.
local function expect_no_success(context, body, what)
  local session = context.session
  local exchange = session:get_answer(body, session:sign(body))
  if is_success(exchange) and not exchange.body:find '"error"%s*:' then
    local sentence = "%s was answered with the status %d as if it were implemented. Answer 422 and "
      .. "a short text, or a resource error."
    fail(sentence, what, exchange.status)
  end
end

local M = {}

M[1] = {
  name = "requests: a body that is not JSON is refused",
  run = function(context)
    expect_refusal(context, "not JSON", "A signed body that is not JSON", "400")
    local half = '{"action":"implementation.info"'
    expect_refusal(context, half, "A signed body that is only half of a JSON object", "400")
  end,
}

M[2] = {
  name = "requests: JSON that is no request is refused",
  run = function(context)
    expect_refusal(context, "[]", "JSON that is no object", "400")
    expect_refusal(context, '{"params":{}}', "A request without an action", "400")
    expect_refusal(context, '{"action":{"a":1}}', "A request whose action is no string", "400")
  end,
}

M[3] = {
  name = "requests: an action that is not implemented is refused",
  run = function(context)
    local body = session_of.request("check_unknown.create", { id = "1" })
    expect_no_success(context, body, "An action of an unknown object")
    body = session_of.request("messages.check_unknown", { id = "1" })
    expect_no_success(context, body, "An unknown action of messages")
  end,
}

M[4] = {
  name = "requests: one of 1 MB is accepted",
  run = function(context)
    local session = context.session
    local params = { check_padding = ("x"):rep(PADDING) }
    local body = session_of.request("implementation.info", params)
    local exchange = session:get_answer(body, session:sign(body))
    if not is_success(exchange) then
      local sentence = "A request of %d bytes was refused with the status %d. Accept bodies of up "
        .. "to 20,971,520 bytes (nginx: client_max_body_size 20m), and params that you do not know."
      fail(sentence, #body, exchange.status)
    end
  end,
}

return M
