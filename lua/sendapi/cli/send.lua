--- `sendapi send`: one action, delivered.
local client = require "sendapi.client"
local input = require "sendapi.cli.input"
local json = require "sendapi.json"

local M = { name = "send" }

function M.describe(command)
  command:summary "Send one action, such as messages.create."
  command:description [[
Sends one action and says what came of it. The source is SENDAPI_SOURCE, the server SENDAPI_DOMAIN
or SENDAPI_BASE_URL.]]
  command:argument("action", "Such as messages.create."):argname "ACTION"
  command:argument("params", "Its params as JSON; - or nothing: from the standard input.")
    :argname("JSON")
    :args "?"
  command:option("--option", "An option that the source has; several times.")
    :argname("NAME")
    :count "*"
end

local function params_of(given)
  local text = given.params
  if not text or text == "-" then
    text = input.standard()
  end
  local is_json, value = json.decode(text)
  if not is_json or json.type(value) ~= "object" then
    return nil, "params: expected a JSON object" .. (is_json and "" or ": " .. value)
  end
  return value
end

local function client_of(given)
  local source = input.variable "SENDAPI_SOURCE"
  if not source then
    return nil, "the source's id is missing: set SENDAPI_SOURCE"
  end
  local token, message = input.token()
  if not token then
    return nil, message
  end
  local options = { runtime = "blocking", source_options = given.option }
  return client.make(source, token, options)
end

function M.run(given)
  local made, message = client_of(given)
  local params
  if made then
    params, message = params_of(given)
  end
  if not params then
    return 2, message
  end
  local is_called, is_sent, problem = pcall(made.send, made, given.action, params)
  made:close()
  if not is_called then
    return 2, (tostring(is_sent):gsub("^[^ ]*:%d+: ", ""))
  elseif not is_sent then
    return 1, tostring(problem)
  end
  print "ok"
  return 0
end

return M
