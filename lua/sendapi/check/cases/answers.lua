--- What every answer must have. These cases look back at all that came before them.
local session_of = require "sendapi.check.session"

local fail = session_of.fail

local M = {}

M[1] = {
  name = "answers: they are signed over their exact bytes",
  run = function(context)
    local session = context.session
    for _, answer in ipairs(session.answers) do
      local given = answer.headers["x-smccsdk-signature"]
      session.last = answer
      if not given then
        local sentence = "The answer has no header X-SMCCSDK-SIGNATURE. Send the hex "
          .. "HMAC-SHA512 of its bytes, keyed with the access token."
        fail(sentence)
      elseif given ~= session:sign(answer.body) then
        local sentence = "The signature of the answer is wrong. Sign the bytes that are sent, all "
          .. "of them and nothing else, in lower-case hex, and change nothing afterwards."
        fail(sentence)
      end
    end
  end,
}

M[2] = {
  name = "answers: their type is JSON in UTF-8",
  run = function(context)
    for _, answer in ipairs(context.session.answers) do
      local type_given = (answer.headers["content-type"] or "none"):lower()
      local charset = type_given:match ";%s*charset%s*=%s*\"?([%w_-]+)"
      context.session.last = answer
      if not type_given:find "^application/json%f[%s;%z]" or (charset and charset ~= "utf-8") then
        local sentence = "The Content-Type is %s. Send application/json; charset=utf-8."
        fail(sentence, type_given)
      end
    end
  end,
}

return M
