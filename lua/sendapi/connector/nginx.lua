-- luacheck: std ngx_lua
--- A connector in nginx: one request of its `content_by_lua` (README: "The other direction").
--
-- Says no more than HTTP asks for: the method, the size before anything is read, the exact bytes
-- of the body wherever nginx has put them. All else is the connector's.
local nginx_body = require "sendapi.nginx_body"
local requests = require "sendapi.connector.request"

local M = {}

--- Nil for what is not there, or empty.
local function variable(name)
  local value = ngx.var[name]
  return value ~= "" and value or nil
end

local function answer(status, body, headers)
  ngx.status = status
  for name, value in pairs(headers) do
    ngx.header[name] = value
  end
  ngx.header["Content-Length"] = #body
  ngx.print(body)
end

--- Answers a request whose body is of no interest: nginx lets it pass by.
local function refuse(refusal, headers)
  ngx.req.discard_body()
  headers["Content-Type"] = "text/plain"
  return answer(refusal.status, refusal.text, headers)
end

local not_a_post = { status = 405, text = "Method not allowed" }

--- The size that the request says it has; nil when it says none.
local function announced_bytes()
  return tonumber(variable "http_content_length")
end

--- Answers the request at hand. A handler may yield: other requests are served meanwhile.
-- To be called in `content_by_lua`, once, before anything is sent; elsewhere it raises an error.
---@param connector sendapi.Connector
---@param log fun(level: string, message: string)
function M.serve(connector, log)
  local phase = ngx.get_phase()
  if phase ~= "content" then
    error(("connector:serve: it answers in content_by_lua, this is the phase %s"):format(phase), 3)
  elseif ngx.req.get_method() ~= "POST" then
    return refuse(not_a_post, { Allow = "POST" })
  end
  local bytes = announced_bytes()
  if bytes and bytes > requests.maximum_bytes then
    log("warn", ("connector: 413 Request too large: it has %.0f bytes"):format(bytes))
    return refuse(requests.refusals.too_large, {})
  end
  local body = nginx_body.read()
  local header, query = variable "http_x_smccsdk_signature", variable "arg_signature"
  return answer(connector:handle(body, header, query))
end

return M
