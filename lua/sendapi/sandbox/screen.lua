-- luacheck: std ngx_lua
--- The agent's screen and the test API inside nginx: the page at `/`, and everything under
-- `/_sandbox`, which speaks JSON.
local encode = require "sendapi.sandbox.encode"
local guard = require "sendapi.sandbox.guard"
local inquiries = require "sendapi.sandbox.inquiries"
local json = require "sendapi.json"
local nginx = require "sendapi.sandbox.nginx"
local orders = require "sendapi.sandbox.orders"
local signature = require "sendapi.sandbox.signature"
local world = require "sendapi.sandbox.world"

local screen = {}

-- Where the page's files are: beside this one.
local files = debug.getinfo(1, "S").source:gsub("^@", ""):gsub("screen%.lua$", "page/")

local types = {
  css = "text/css; charset=utf-8",
  html = "text/html; charset=utf-8",
  js = "text/javascript; charset=utf-8",
  svg = "image/svg+xml",
}

local policy = table.concat({
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "connect-src 'self'",
  "img-src * data:",
  "media-src * data:",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
  "require-trusted-types-for 'script'",
}, "; ")

local function set_headers()
  ngx.header["Content-Security-Policy"] = policy
  ngx.header["X-Content-Type-Options"] = "nosniff"
  ngx.header["X-Frame-Options"] = "DENY"
  ngx.header["Referrer-Policy"] = "no-referrer"
  ngx.header["Cross-Origin-Resource-Policy"] = "same-origin"
  ngx.header["Cache-Control"] = "no-cache"
end

local function answer(status, text, kind)
  ngx.status = status
  ngx.header["Content-Type"] = kind
  ngx.header["Content-Length"] = #text
  ngx.print(text)
end

local function answer_json(status, value)
  answer(status, encode.json(value), "application/json")
end

local the_guard

--- Whether the request may pass; answers it otherwise.
local function is_admitted(method)
  set_headers()
  the_guard = the_guard
    or guard.new {
      port = ngx.var.server_port,
      host = world.settings.host,
      open = world.settings.open,
      token = world.token,
      is_same = signature.is_same,
    }
  local status, message = the_guard:refusal {
    method = method,
    host = ngx.var.http_host,
    origin = ngx.var.http_origin,
    token = ngx.var.http_x_sandbox_token,
  }
  if status then
    answer_json(status, { error = message })
  end
  return not status
end

local function read_file(name)
  local file = io.open(files .. name, "rb")
  local content = file and file:read "*a"
  if file then
    file:close()
  end
  return content
end

--- Serves a file of the page.
local function answer_file(name)
  local kind = name:match "^[%w_-]+%.(%l+)$"
  local content = types[kind] and read_file(name)
  if not content then
    return answer_json(404, { error = "There is no such file." })
  end
  answer(200, content, types[kind])
end

--- Answers `GET /`. To be called in `content_by_lua`.
function screen.page()
  local method = ngx.req.get_method()
  if method ~= "GET" and method ~= "HEAD" then
    ngx.status = 404
    return answer(404, "Not found", "text/plain")
  end
  if is_admitted "GET" then
    local content = read_file "index.html"
    if not content then
      return answer_json(404, { error = "The page is not installed." })
    end
    answer(200, (content:gsub("{{token}}", world.token)), types.html)
  end
end

--- The decoded body, which has to be an object; nil and what to answer.
local function read_order()
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  if not body then
    return nil, 400, "Expected a body of JSON."
  end
  local is_json, value = json.decode_unambiguous(body)
  if not is_json then
    return nil, 400, "The body: " .. value .. "."
  elseif type(value) ~= "table" or json.type(value) ~= "object" then
    return nil, 400, "Expected an object."
  end
  return value
end

local function unescaped(path)
  return path and path ~= "" and ngx.unescape_uri(path) or nil
end

local function delete(name)
  if name then
    return 404, { error = "There is nothing here." }
  end
  nginx.clear()
  return 200, {}
end

local function obey(order, rest)
  local given, status, message = read_order()
  if not given then
    return status, { error = message }
  end
  return order(given, rest)
end

--- Finds what is asked for, and does it.
local function dispatch(method, name, rest)
  local inquiry = name and inquiries[name]
  local order = name and (orders[method] or {})[name]
  if method == "DELETE" then
    return delete(name)
  elseif method == "GET" and inquiry then
    return inquiry(rest)
  elseif order then
    return obey(order, rest)
  elseif inquiry or (name and (orders.POST[name] or orders.PUT[name])) then
    return 405, { error = "This is asked in another way." }
  end
  return 404, { error = "There is nothing here." }
end

--- Answers everything under `/_sandbox`. To be called in `content_by_lua`.
function screen.handle()
  local method = ngx.req.get_method()
  if not is_admitted(method) then
    return
  end
  local path = ngx.var.request_uri:gsub("%?.*", "")
  local name, rest = path:match "^/_sandbox/([^/]+)/?(.*)$"
  if name == "page" and method == "GET" then
    return answer_file(rest)
  elseif not name and not path:find "^/_sandbox/?$" then
    return answer_json(404, { error = "There is nothing here." })
  end
  local status, value = dispatch(method, name, unescaped(rest))
  if status then
    answer_json(status, value)
  end
end

return screen
