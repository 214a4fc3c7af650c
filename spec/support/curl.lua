--- Requests made by the `curl` command, which never goes through a proxy here.
local shell = require "spec.support.shell"

local curl = {}

---@class spec.Answer
---@field exit integer    0 when curl was content; its documentation names the others
---@field status? integer of HTTP
---@field body string
---@field headers string  as they came
---@field errors string   what curl complained of

--- Posts bytes to a url.
---@param url string
---@param body string
---@param options? { headers?: string[], ca_file?: string, extra?: string }
---@return spec.Answer
function curl.post(url, body, options)
  options = options or {}
  local headers_path = os.tmpname()
  local command = { "curl -sS --noproxy '*' --max-time 30 --data-binary @- -D", headers_path }
  for _, header in ipairs(options.headers or {}) do
    command[#command + 1] = "-H " .. shell.quote(header)
  end
  if options.ca_file then
    command[#command + 1] = "--cacert " .. shell.quote(options.ca_file)
  end
  command[#command + 1] = options.extra
  command[#command + 1] = shell.quote(url)
  local result = shell.run(table.concat(command, " "), body)
  local headers = shell.read_file(headers_path)
  os.remove(headers_path)
  local status
  for number in headers:gmatch "HTTP/%S+ (%d+)" do
    status = tonumber(number) -- the last one: an earlier one may be "100 Continue"
  end
  return {
    exit = result.status,
    status = status,
    body = result.output,
    headers = headers,
    errors = result.errors,
  }
end

return curl
