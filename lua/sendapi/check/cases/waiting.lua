--- How long a customer still waits: Engage Digital tells, when the options ask for it.
local session_of = require "sendapi.check.session"

local fail, skip = session_of.fail, session_of.skip

local ACTION = "messaging.queuing_update"

local function is_asked_for(context)
  for _, option in ipairs(context.info.options) do
    if option == ACTION then
      return true
    end
  end
  return false
end

local M = {}

M[1] = {
  name = "messaging.queuing_update: it is answered by any 2xx",
  run = function(context)
    if not is_asked_for(context) then
      skip "It is not among the options."
    elseif context.settings.create == false then
      skip "Nothing is to be written."
    end
    local session = context.session
    local body = session_of.request(ACTION, {
      estimated_wait_time = 60,
      position = 2,
      thread_id = "check",
      in_reply_to_id = "check",
    })
    local exchange = session:get_answer(body, session:sign(body))
    if not session_of.is_success(exchange) then
      local sentence = "It was refused with the status %d. Answer 200; the body does not count."
      fail(sentence, exchange.status)
    end
  end,
}

return M
