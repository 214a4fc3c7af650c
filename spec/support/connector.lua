--- Asks a connector as Engage Digital does.
local cjson = require "cjson"
local sendapi = require "sendapi"

local connector = {}

connector.TOKEN = "3YJZzqMJ5Ec7i2JGvnt8TgvleD7dtpwpmag4S6MuRA2GQdfvV4STIsxDRJ4fEjO8"
connector.SIGNATURE = "X-SMCCSDK-SIGNATURE"

--- A connector whose log goes into a list of "level: message".
---@param definition table gets a `log` unless it has one
---@param token string|string[]|nil
---@return sendapi.Connector
---@return string[] log
function connector.new(definition, token)
  local log = {}
  definition.log = definition.log
    or function(level, message)
      log[#log + 1] = level .. ": " .. message
    end
  return sendapi.connector(token or connector.TOKEN, definition), log
end

--- The bytes of a request; `params` is a table, or JSON.
function connector.body(action, params)
  if type(params) == "table" then
    params = next(params) == nil and "{}" or cjson.encode(params)
  end
  local tail = params and ',"params":' .. params or ""
  return ('{"action":%s,"time":"2012-10-01T17:18:40Z"%s}'):format(cjson.encode(action), tail)
end

--- Sends bytes with a right signature; the answer's own is verified.
---@return integer status
---@return string answer
function connector.send(asked, body, token)
  token = token or connector.TOKEN
  local status, answer, headers = asked:handle(body, sendapi.sign(token, body))
  if status == 200 then
    assert(headers["Content-Type"] == "application/json; charset=utf-8")
    assert(sendapi.verify(token, answer, headers[connector.SIGNATURE]), "wrongly signed")
  else
    assert(headers["Content-Type"] == "text/plain")
    assert(headers[connector.SIGNATURE] == nil)
    assert(not answer:find "\n" and #answer < 40, answer)
  end
  return status, answer
end

--- The answer to an action, which has to be 200, as bytes.
---@return string answer
function connector.ask(asked, action, params)
  local status, answer = connector.send(asked, connector.body(action, params))
  if status ~= 200 then
    error(("%d %s"):format(status, answer), 2)
  end
  return answer
end

--- A message that keeps the schema.
function connector.message(id)
  return {
    id = id,
    thread_id = "t",
    body = "Hi",
    author = { id = "1", screenname = "Jane", created_at = "2012-02-10" },
  }
end

--- A connector whose every handler notes its call; and the calls, and the log.
function connector.noting(answers)
  local calls = {}
  local function noted(name)
    return function(params, request)
      calls[#calls + 1] = { name = name, params = params, request = request }
      return answers and answers[name] or connector.message "1"
    end
  end
  local operations = { reply = true }
  for _, name in ipairs { "list", "show", "create", "delete", "publish", "unpublish", "spam" } do
    operations[name] = noted(name)
  end
  local made, log = connector.new {
    messages = operations,
    messaging = { queuing_update = noted "queuing_update" },
    status = true,
    typing = true,
  }
  return made, calls, log
end

return connector
