--- A sandbox's interface under `/_sandbox`, for specs.
local cjson = require "cjson"
local core = require "sendapi.core"
local shell = require "spec.support.shell"

---@class spec.Api
---@field url string
---@field token string|nil
local Api = {}
Api.__index = Api

local api = {}

---@param sandbox sendapi.sandbox.Host
---@return spec.Api
function api.of(sandbox)
  local token = shell.read_file(sandbox.directory .. "/token")
  return setmetatable({ url = sandbox.http, token = token }, Api)
end

--- Asks; a body that is no string is written as JSON. `headers` replace the token's.
---@return integer status
---@return any answer decoded where it is JSON
---@return table<string, string> headers
function Api:ask(method, path, body, headers)
  local text = body ~= nil and (type(body) == "string" and body or cjson.encode(body)) or nil
  local answer = assert(core.exchange {
    url = self.url .. path,
    method = method,
    body = text,
    headers = headers or { "X-Sandbox-Token: " .. self.token },
    timeout = 20,
  })
  local is_json, value = pcall(cjson.decode, answer.body)
  return answer.status, is_json and value or answer.body, answer.headers
end

function Api:get(path)
  return self:ask("GET", "/_sandbox" .. path)
end

function Api:post(path, body)
  return self:ask("POST", "/_sandbox" .. path, body)
end

--- Asks for the same until the answer is as wanted; the last answer.
function Api:wait_for(path, is_wanted)
  local found
  local came = shell.wait_until(function()
    found = select(2, self:get(path))
    return is_wanted(found)
  end, 20)
  return came and found or error(path .. " did not become as wanted: " .. cjson.encode(found))
end

--- What the server sends for some seconds.
---@return string
function Api:listen(path, seconds, extra)
  return shell.run(("curl -sS -N --noproxy '*' --max-time %g %s %s"):format(
    seconds,
    extra or "",
    shell.quote(self.url .. "/_sandbox" .. path)
  )).output
end

return api
