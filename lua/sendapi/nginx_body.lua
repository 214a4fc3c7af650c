-- luacheck: std ngx_lua
--- The body of the request at hand, in nginx.
local M = {}

local function read_file(path)
  local file, message = io.open(path, "rb")
  if not file then
    error("the body that nginx has put into a file: " .. message, 0)
  end
  local content = file:read "*a"
  file:close()
  return content
end

--- Its exact bytes, also when nginx has put them into a file. It yields until they are there; what
-- cannot be read raises an error.
---@return string body "" when there is none
function M.read()
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  local path = not body and ngx.req.get_body_file()
  return body or (path and read_file(path)) or ""
end

return M
