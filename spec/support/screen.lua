--- A sandbox whose screen a spec looks at, with the sources "plain" and "other".
local api = require "spec.support.api"
local assert = require "luassert"
local sandboxes = require "spec.support.sandbox"
local send_api = require "spec.support.send_api"

local screen = {}

local sandbox, interface

--- For `setup`; `stop` and `clear` are for `teardown` and `before_each`.
---@return sendapi.sandbox.Host
---@return spec.Api
function screen.start()
  sandbox = sandboxes.start {
    sources = { plain = { token = send_api.token }, other = { token = "other" } },
  }
  interface = api.of(sandbox)
  return sandbox, interface
end

function screen.stop()
  sandbox:stop()
end

function screen.clear()
  interface:ask("DELETE", "/_sandbox")
end

--- The bytes of a message; `rest` is more of its JSON.
function screen.message(id, thread, rest)
  return send_api.message(
    ('"id":"%s","thread_id":"%s","body":"body of %s","author":%s%s'):format(
      id,
      thread or "42",
      id,
      send_api.user,
      rest or ""
    )
  )
end

--- Sends what is accepted.
function screen.send(body, source)
  local answer = sandboxes.post(sandbox, source or "plain", body)
  assert.equal("ok", answer.body)
end

--- Asks what is refused, with that status and a sentence of which that is a part.
function screen.assert_refused(status, part, method, path, body, headers)
  local got, answer = interface:ask(method, path, body, headers)
  assert.equal(status, got)
  assert.is_string(answer.error)
  assert.is_truthy(answer.error:find(part, 1, true), answer.error)
end

return screen
