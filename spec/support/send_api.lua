--- Requests of the Send API, as text, and sources to send them to.
local openssl = require "spec.support.openssl"
local rules = require "sendapi.sandbox.rules"

local send_api = {}

send_api.token = "56e79ea426735090665b1c107c757d6d3a692c061335e4728899af27f215edf3"

send_api.user = '{"id":"666","screenname":"John Doe","created_at":"07/11/2019"}'
send_api.agent = '{"id":"7","screenname":"Ann","created_at":"07/11/2019","puppetizable":true}'

--- The params of a message that is right, in a conversation of its own unless another is named.
function send_api.params(id, thread_id)
  return {
    id = id,
    thread_id = thread_id or id,
    author = { id = "666", created_at = 0, screenname = "John Doe" },
    body = "Awesome post !",
  }
end

function send_api.sources()
  return {
    plain = { token = send_api.token },
    viewing = { token = send_api.token, options = { "messages.text", "view.messaging" } },
    unthreaded = { token = send_api.token, options = { "messages.unthreaded" } },
    no_content = { token = send_api.token, options = { "threads.no_content" } },
    private = { token = send_api.token, actions = { "private_messages.create", "users.create" } },
    silent = { token = send_api.token, actions = { ["messages.create"] = true } },
  }
end

function send_api.context(now)
  return { now = now or 1000, sign = openssl.sign }
end

--- Signs and asks, as a client that does everything else right. Returns what `rules.answer` does.
function send_api.ask(body, source_id, state, now)
  local signature = openssl.sign(send_api.token, body)
  state = state or send_api.sources()
  return rules.answer(state, source_id or "plain", body, signature, send_api.context(now))
end

function send_api.request(action, params)
  return ('{"action":"%s","params":%s}'):format(action, params)
end

function send_api.message(rest)
  return send_api.request("messages.create", "{" .. rest .. "}")
end

send_api.whole_message = '"id":"890","thread_id":"42","body":"Awesome post !","author":'
  .. send_api.user

--- A message of an agent with structured content.
function send_api.structured(content)
  return send_api.message(
    '"id":"890","thread_id":"42","body":"Choose","author":'
      .. send_api.agent
      .. ',"structured_content":'
      .. content
  )
end

return send_api
