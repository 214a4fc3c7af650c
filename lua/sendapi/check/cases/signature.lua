--- Who may ask: every request is signed, and the connector verifies it.
local core = require "sendapi.core"
local session_of = require "sendapi.check.session"

local fail, skip, is_success = session_of.fail, session_of.skip, session_of.is_success

local VERIFY = "Verify X-SMCCSDK-SIGNATURE before anything else: the hex HMAC-SHA512 of the "
  .. "request's bytes as they came, keyed with the access token; answer 403 when it is not that."

local function request()
  return session_of.request "implementation.info"
end

local function expect_refusal(exchange, what)
  if is_success(exchange) then
    fail("A request %s was answered with the status %d. %s", what, exchange.status, VERIFY)
  end
end

local function sign_with(token, body)
  local signer = core.signer(token)
  local hex = signer:sign(body)
  signer:close()
  return hex
end

local M = {}

M[1] = {
  name = "signature: a request without one is refused",
  run = function(context)
    expect_refusal(context.session:get_answer(request()), "without a signature")
  end,
}

M[2] = {
  name = "signature: a wrong one is refused",
  run = function(context)
    local session, body = context.session, request()
    expect_refusal(session:get_answer(body, ("0"):rep(128)), "with a wrong signature")
    expect_refusal(session:get_answer(body, session:sign(body):sub(1, 64)), "with half a signature")
    expect_refusal(session:get_answer(body, "none"), "with a signature that is no hex")
  end,
}

M[3] = {
  name = "signature: one made with another token is refused",
  run = function(context)
    local session, body = context.session, request()
    local hex = sign_with(context.token .. "x", body)
    expect_refusal(session:get_answer(body, hex), "signed with another token")
  end,
}

M[4] = {
  name = "signature: one of other bytes is refused",
  run = function(context)
    local session, body = context.session, request()
    local hex = session:sign(body)
    local what = "with the signature of another one"
    expect_refusal(session:get_answer(session_of.request "messages.list", hex), what)
    what = "with the signature of the same JSON in other bytes"
    expect_refusal(session:get_answer(body .. "\n", hex), what)
  end,
}

M[5] = {
  name = "signature: it is verified over the bytes as they came",
  run = function(context)
    local session = context.session
    local body = '{ "params":{"check":"\\u00e9 \195\169 \\/"},\n'
      .. '\t"action" : "implementation.info"}\n'
    local exchange = session:get_answer(body, session:sign(body))
    if not is_success(exchange) then
      local sentence = "A rightly signed request was refused with the status %d because of white "
        .. "space, escapes or the order of its keys. Take the signature of the body as it came, "
        .. "never of JSON that was decoded and encoded again."
      fail(sentence, exchange.status)
    end
  end,
}

M[6] = {
  name = "signature: a wrong one in the query is refused",
  run = function(context)
    local exchange = context.session:get_answer(request(), nil, ("0"):rep(128))
    expect_refusal(exchange, "with a wrong signature in the query")
  end,
}

M[7] = {
  name = "signature: the right one is accepted in the query, too",
  run = function(context)
    local session, body = context.session, request()
    if not is_success(session:get_answer(body, nil, session:sign(body))) then
      skip "Refused; it is needed only behind a proxy that removes the header."
    end
  end,
}

M[8] = {
  name = "signature: upper-case hex is accepted, too",
  run = function(context)
    local session, body = context.session, request()
    if not is_success(session:get_answer(body, session:sign(body):upper())) then
      skip "Refused; Engage Digital sends lower-case hex."
    end
  end,
}

return M
