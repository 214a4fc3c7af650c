--- Outboxes with something in them, for whoever looks into them from outside.
local core = require "sendapi.core"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"
local traffic = require "spec.support.traffic"

local outbox = {}

local PATIENCE = 30 -- seconds, at most
local NOBODY = "http://127.0.0.1:1" -- that listens there

local function client_of(source, place, base_url)
  return sendapi.client(source, send_api.token, {
    base_url = base_url,
    outbox = place,
    log = function() end,
  })
end

--- Makes dead letters of these messages, each given up by the sandbox with a text.
---@param sandbox table  a host of sources
---@param place string
---@param source string
---@param messages table[]
---@param text string?  of the answer
function outbox.bury(sandbox, place, source, messages, text)
  local client = client_of(source, place, sandbox.http)
  local before = assert(client:outbox():dead { limit = 100 })
  sandbox:fault { kind = "status", status = 422, text = text or "No" }
  for _, message in ipairs(messages) do
    assert(client.messages:create(message))
  end
  local deadline = core.now() + PATIENCE
  while #assert(client:outbox():dead { limit = 100 }) < #before + #messages do
    assert(core.now() < deadline, "nothing was given up")
    client:flush(0.05)
  end
  sandbox:fault(nil)
  client:close(0)
end

--- Leaves messages pending.
function outbox.keep(place, source, messages)
  local client = client_of(source, place, NOBODY)
  for _, message in ipairs(messages) do
    assert(client.messages:create(message))
  end
  client:close(0)
end

--- Messages with these ids of one thread.
function outbox.messages(first, last, thread)
  local messages = {}
  for id = first, last do
    messages[#messages + 1] = traffic.message(id, thread)
  end
  return messages
end

return outbox
