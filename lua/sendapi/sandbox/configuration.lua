--- nginx's configuration for one sandbox, and what has to be known of the system to write it.
local shell = require "sendapi.sandbox.shell"

local quote, run = shell.quote, shell.run

local configuration = {}

-- `{{name}}` is replaced. Every path is relative to the sandbox's directory. The last server makes
-- the requests to connectors (connection.lua), whose certificates it does not check: those of a
-- laptop are mostly made by nobody that it would know.
local template = [[
{{modules}}
{{user}}
worker_processes 1;
worker_rlimit_nofile 8192;
pid nginx.pid;
error_log error.log {{log}};
events {
  worker_connections 4096;
}
http {
  access_log off;
  default_type text/plain;
  client_max_body_size 64m;
  client_body_buffer_size 128k;
  client_body_temp_path temporary;
  proxy_temp_path temporary;
  fastcgi_temp_path temporary;
  uwsgi_temp_path temporary;
  scgi_temp_path temporary;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
  reset_timedout_connection on;
  lua_socket_log_errors off;
  ssl_protocols TLSv1.2 TLSv1.3;
  lua_package_path "{{path}};;";
  lua_package_cpath ";;";
  init_by_lua_block { require("sendapi.sandbox.nginx").load() }
  init_worker_by_lua_block { require("sendapi.sandbox.nginx").watch({{owner}}) }
  {{resolver}}
  resolver_timeout 5s;
  server {
    listen 127.0.0.1:{{http}};
    {{listen}}
    merge_slashes off;
    location / {
      content_by_lua_block { require("sendapi.sandbox.nginx").handle() }
    }
    location = / {
      content_by_lua_block { require("sendapi.sandbox.screen").page() }
    }
    location /_sandbox {
      client_max_body_size 1m;
      client_body_buffer_size 1m;
      error_page 413 @large;
      content_by_lua_block { require("sendapi.sandbox.screen").handle() }
    }
    location = /_sandbox/events {
      lua_check_client_abort on;
      content_by_lua_block { require("sendapi.sandbox.screen").handle() }
    }
    location @large {
      default_type application/json;
      return 413 '{"error":"The body is larger than 1 MiB."}';
    }
  }
  server {
    listen 127.0.0.1:{{https}} ssl;
    ssl_certificate localhost.pem;
    ssl_certificate_key localhost.key;
    location / {
      content_by_lua_block { require("sendapi.sandbox.nginx").handle() }
    }
  }
  server {
    listen 127.0.0.1:{{https_other_name}} ssl;
    ssl_certificate other.pem;
    ssl_certificate_key other.key;
    location / {
      content_by_lua_block { require("sendapi.sandbox.nginx").handle() }
    }
  }
  server {
    listen unix:connector.sock;
    location / {
      proxy_pass $http_x_target;
      proxy_http_version 1.1;
      proxy_pass_request_headers off;
      proxy_set_header Host $http_x_target_host;
      proxy_set_header Connection close;
      proxy_set_header Content-Type application/json;
      proxy_set_header User-Agent "sendapi sandbox";
      proxy_set_header X-SMCCSDK-SIGNATURE $http_x_smccsdk_signature;
      proxy_set_header X-Sandbox-Replay $http_x_sandbox_replay;
      proxy_ssl_server_name on;
      proxy_ssl_name $http_x_target_name;
      proxy_ssl_protocols TLSv1.2 TLSv1.3;
      proxy_ssl_session_reuse off;
      proxy_connect_timeout 5s;
      proxy_read_timeout 30s;
      proxy_send_timeout 30s;
      proxy_next_upstream off;
      proxy_redirect off;
      proxy_buffer_size 16k;
      proxy_buffers 8 16k;
      proxy_max_temp_file_size 0;
      proxy_hide_header X-Sandbox-Failed;
      proxy_ignore_headers X-Accel-Redirect X-Accel-Expires X-Accel-Limit-Rate X-Accel-Buffering
        X-Accel-Charset;
      error_page 500 502 504 @failed;
    }
    location @failed {
      add_header X-Sandbox-Failed "$upstream_status $upstream_connect_time" always;
      return 502;
    }
  }
}
]]

--- A template with its `{{name}}`s replaced.
---@param text string
---@param values table<string, string|number>
---@return string
function configuration.fill(text, values)
  return (text:gsub("{{([%w_]+)}}", values))
end

--- Where `require` finds this library: the part of this file's path before "sendapi/".
local function library_directory()
  local source = debug.getinfo(1, "S").source:gsub("^@", "")
  local directory = source:match "^(.+)sendapi/sandbox/[^/]*$" or "."
  local ok, output = run("CDPATH= cd -- " .. quote(directory) .. " && pwd")
  return ok and output or nil, output
end

local function find_nginx(name)
  local path = 'PATH="$PATH:/usr/sbin:/usr/local/sbin:/usr/local/openresty/bin"; '
  for _, candidate in ipairs(name and { name } or { "openresty", "nginx" }) do
    local ok, output = run(path .. "command -v " .. quote(candidate))
    if ok then
      return output
    end
  end
  return nil, ("%s was not found; the sandbox needs nginx with its Lua module"):format(
    name or "neither openresty nor nginx"
  )
end

local function exists(path)
  local file = io.open(path, "rb")
  if file then
    file:close()
  end
  return file ~= nil
end

--- The directives that load nginx's Lua module, where it is one that is loaded.
local function module_directives(nginx)
  local _, description = run(quote(nginx) .. " -V")
  local directory = description:match "%-%-modules%-path=(%S+)" or ""
  local directives = {}
  for _, name in ipairs { "ndk_http_module.so", "ngx_http_lua_module.so" } do
    local path = directory .. "/" .. name
    if exists(path) then
      directives[#directives + 1] = ("load_module %s;"):format(path)
    end
  end
  return table.concat(directives, "\n")
end

--- This process's id, and the directive that keeps nginx's worker under the user who starts it.
local function read_owner()
  local ok, output = run 'echo "$PPID $(id -u) $(id -un) $(id -gn)"'
  local pid, user_id, user, group = output:match "^(%d+) (%d+) (%S+) (%S+)$"
  if not ok or not pid then
    return nil, output
  end
  return pid, user_id == "0" and ("user %s %s;"):format(user, group) or ""
end

--- LuaJIT in nginx must not be sent to the libraries of another Lua.
local function environment()
  return _VERSION == "Lua 5.1" and "" or "env -u LUA_PATH -u LUA_CPATH"
end

--- An address as it stands in a url: one of IPv6 in brackets.
---@param address string|nil
---@return string|nil
function configuration.in_url(address)
  local is_bare = address and address:find(":", 1, true) and not address:find("[", 1, true)
  return is_bare and "[" .. address .. "]" or address
end

--- The directive that names the system's resolvers, where there are any.
local function resolver()
  local file = io.open "/etc/resolv.conf"
  local addresses = {}
  for line in file and file:lines() or function() end do
    local address = line:match "^nameserver%s+([%x.:]+)%s*$"
    if address then
      addresses[#addresses + 1] = configuration.in_url(address)
    end
  end
  if file then
    file:close()
  end
  local list = table.concat(addresses, " ")
  return list ~= "" and ("resolver %s ipv6=off;"):format(list) or ""
end

local IS_LISTENED_AT = { ["127.0.0.1"] = true, localhost = true }

--- The directive for an address besides 127.0.0.1.
local function listen(address)
  if not address or IS_LISTENED_AT[address:lower()] then
    return ""
  end
  return ("listen %s:{{http}};"):format(address)
end

--- Everything `render` needs except the ports, and what starting nginx needs; nothing in it changes
-- from one attempt to the next.
---@param options sendapi.sandbox.Options
---@param directory string where the sandbox lives
---@return table<string, string>|nil values
---@return string|nil message
function configuration.gather(options, directory)
  local nginx, message = find_nginx(options.nginx)
  if not nginx then
    return nil, message
  end
  local owner, user = read_owner()
  local library, reason = library_directory()
  if not owner or not library then
    return nil, "the sandbox could not look around: " .. tostring(not owner and user or reason)
  end
  local path = ("%s/?.lua;%s/?/init.lua"):format(library, library)
  return {
    directory = quote(directory),
    environment = environment(),
    listen = listen(configuration.in_url(options.host)),
    log = options.log or "error",
    modules = module_directives(nginx),
    nginx = quote(nginx),
    owner = owner,
    path = path:gsub('[\\"]', "\\%0"),
    resolver = resolver(),
    user = user,
  }
end

--- The text of nginx.conf.
---@param values table<string, string|number> of `gather`, with the ports `http`, `https` and
--- `https_other_name`
---@return string
function configuration.render(values)
  return configuration.fill(configuration.fill(template, values), values)
end

return configuration
