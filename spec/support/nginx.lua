--- An nginx of a spec's own, with this library in it. It listens on a unix socket in its private
-- directory, which is $TMPDIR, too: what stays behind there is seen.
local cjson = require "cjson"
local configuration = require "sendapi.sandbox.configuration"
local curl = require "spec.support.curl"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local nginx = {}

-- A unix socket refuses at once who comes when its backlog is full, so it is as long as the longest
-- queue a spec makes.
local template = [[
{{user}}
{{main}}
pid nginx.pid;
error_log error.log notice;
env TMPDIR;
events {
  worker_connections 4096;
}
http {
  access_log off;
  default_type text/plain;
  client_body_temp_path temporary;
  proxy_temp_path temporary;
  fastcgi_temp_path temporary;
  uwsgi_temp_path temporary;
  scgi_temp_path temporary;
  lua_package_path "{{path}};;";
  lua_package_cpath "{{core}};;";
  {{http}}
  server {
    listen unix:{{socket}} backlog=4096;
    location = /pid {
      content_by_lua_block { ngx.print(ngx.worker.pid()) }
    }
    {{server}}
  }
}
]]

-- What it runs of its own accord, beside the command's arguments.
local command = "cd {{directory}} && env -u LUA_PATH -u LUA_CPATH TMPDIR={{scratch}} {{variables}} "
  .. "{{nginx}} -p {{directory}}/ -c {{file}} -g {{globals}}"

---@class spec.Nginx
---@field directory string
---@field socket string   a path
---@field scratch string  the $TMPDIR of its processes
---@field url string?      of an example, on a port of this machine
---@field master integer  process id
local Nginx = {}
Nginx.__index = Nginx

local core

--- Builds the core that nginx's Lua loads, unless that is done, and returns the path to find it by;
-- or nil where it cannot be built.
---@return string|nil
function nginx.core()
  if core == nil then
    local found = package.searchpath("sendapi.core", package.cpath)
    local build = found:match "^(.*)/[^/]+/sendapi/core%.so$"
    local made = build
      and shell.run(
        "env -u MAKEFLAGS -u MAKELEVEL -u LUA make -s objects LUA=luajit BUILD="
          .. shell.quote(build:gsub("^" .. shell.run("pwd").output:gsub("%p", "%%%0") .. "/", ""))
      )
    core = made and made.status == 0 and build .. "/luajit/?.so" or false
  end
  return core or nil
end

local function fill(text, values)
  return configuration.fill(text, values)
end

local function alive(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  local line = file and file:read "*l"
  if file then
    file:close()
  end
  return line ~= nil and line:match "^.*%) (%a)" ~= "Z"
end

nginx.is_alive = alive

--- Runs an nginx in a directory that holds its configuration; when it does not start, what it says
-- is raised.
local function launch(self, values)
  local result = shell.run(fill(command, values))
  if result.status ~= 0 then
    shell.run("rm -rf -- " .. shell.quote(self.directory))
    error(result.errors, 0)
  end
  self.master = assert(tonumber(shell.read_file(self.directory .. "/nginx.pid")))
  return self
end

local function new(directory)
  local self = setmetatable({ directory = directory }, Nginx)
  self.socket, self.scratch = directory .. "/http", directory .. "/scratch"
  assert(shell.run("mkdir " .. shell.quote(self.scratch)).status == 0)
  return self
end

local function gather(self)
  local values = assert(configuration.gather({}, self.directory))
  values.core = nginx.core()
  values.socket, values.scratch = self.socket, self.scratch
  values.variables = ""
  return values
end

---@class spec.NginxOptions
---@field main string?   directives outside of every block
---@field http string?   directives of the http block
---@field server string? directives of the server
---@field [string] string what stands in these for {{name}}

--- Starts one; when it returns, requests are accepted.
---@param options spec.NginxOptions
---@return spec.Nginx
function nginx.start(options)
  local self = new(temporary.directory().path)
  local values = gather(self)
  for _, name in ipairs { "main", "http", "server" } do
    values[name] = fill(options[name] or "", options)
  end
  self.values = values
  values.file = self.directory .. "/nginx.conf"
  values.globals = shell.quote(values.modules)
  shell.write_file(values.file, fill(template, values))
  return launch(self, values)
end

--- A port that nobody uses, by chance, below those that systems give to clients.
local function free_port()
  local file = assert(io.open("/dev/urandom", "rb"))
  file:setvbuf "no"
  local used = shell.read_file "/proc/net/tcp"
  local port
  repeat
    local high, low = file:read(2):byte(1, 2)
    port = 10240 + (high * 256 + low) % 21760
  until not used:find((":%04X "):format(port), 1, true)
  file:close()
  return port
end

local function start_example_at(port, from, variables)
  local self = new(temporary.directory().path)
  local values = gather(self)
  shell.run(("cp -R %s/. %s"):format(from, shell.quote(self.directory)))
  values.file = self.directory .. "/nginx.conf"
  local listening = ("listen unix:%s backlog=4096; listen 127.0.0.1:%d;"):format(self.socket, port)
  local text = shell.read_file(values.file):gsub("listen [^;]+;", listening)
  shell.write_file(values.file, text)
  values.globals = shell.quote(values.modules .. values.user)
  variables.LUA_PATH, variables.LUA_CPATH = values.path .. ";;", values.core .. ";;"
  for name, value in pairs(variables) do
    values.variables = values.variables .. (" %s=%s"):format(name, shell.quote(value))
  end
  self.url = "http://127.0.0.1:" .. port
  return launch(self, values)
end

--- Starts an example in a copy of its directory, changed only in where it listens: on the socket,
-- and at `url`, on a port that was free.
---@param from string the directory, with an nginx.conf
---@param variables table<string, string> of the environment
---@return spec.Nginx
function nginx.start_example(from, variables)
  local started, result
  for _ = 1, 20 do
    started, result = pcall(start_example_at, free_port(), from, variables)
    if started or not tostring(result):find("Address already in use", 1, true) then
      break
    end
  end
  return started and result or error(result, 0)
end

--- Requests a path by GET.
---@param path string
---@param extra string? more arguments for curl
---@return integer|nil status
---@return string body
function Nginx:get(path, extra)
  local result = shell.run(
    ("curl -sS -g --max-time 20 --unix-socket %s -w '\\n%%{http_code}' %s %s"):format(
      self.socket,
      extra or "",
      shell.quote("http://localhost" .. path)
    )
  )
  local body, status = result.output:match "^(.*)\n(%d+)$"
  return tonumber(status), body or result.errors
end

--- Posts a table as JSON, or a string as it is.
---@return spec.Answer
function Nginx:post(path, body)
  local text = type(body) == "table" and cjson.encode(body) or body
  return curl.post("http://localhost" .. path, text, { extra = "--unix-socket " .. self.socket })
end

local one_command = "curl -sS --max-time 20 --unix-socket %s -w '\\n%%{http_code}' -d %s %s"

--- Begins to post a table as JSON.
---@return fun(): integer|nil, string finish waits for the status and the body
function Nginx:begin_post(path, body)
  local text = shell.quote(cjson.encode(body))
  local url = shell.quote("http://localhost" .. path)
  local pipe = assert(io.popen(one_command:format(self.socket, text, url)))
  return function()
    local answer, status = pipe:read("*a"):match "^(.*)\n(%d+)$"
    pipe:close()
    return tonumber(status), answer
  end
end

local many_command = "curl -sS -Z --parallel-immediate --parallel-max %d --max-time 20 "
  .. "--unix-socket %s %s -o /dev/null -w '%%{http_code}\\n' %s 2>/dev/null"

--- Begins many requests, some of them at once; curl's own `[1-9]` counts in the path.
---@param path string
---@param parallel integer
---@param extra string? more arguments for curl
---@return fun(): table<string, integer> finish waits for all: how often each status came
function Nginx:begin(path, parallel, extra)
  local url = shell.quote("http://localhost" .. path)
  local pipe = assert(io.popen(many_command:format(parallel, self.socket, extra or "", url)))
  return function()
    local statuses = {}
    for status in pipe:read("*a"):gmatch "%d+" do
      statuses[status] = (statuses[status] or 0) + 1
    end
    pipe:close()
    return statuses
  end
end

--- The ids of the workers there are, those that exit among them.
---@return integer[]
function Nginx:workers()
  local pids = {}
  local path = ("/proc/%d/task/%d/children"):format(self.master, self.master)
  for pid in shell.read_file(path):gmatch "%d+" do
    if alive(pid) then
      pids[#pids + 1] = tonumber(pid)
    end
  end
  return pids
end

--- Sends a signal to one of its processes.
function Nginx.signal(_, name, pid)
  shell.run(("kill -%s %d"):format(name, pid))
end

local function is_in(list, item)
  for _, one in ipairs(list) do
    if one == item then
      return true
    end
  end
  return false
end

--- Reloads, and returns when new workers are there.
---@return integer[] old the workers that are to exit
function Nginx:reload()
  local old = self:workers()
  self:signal("HUP", self.master)
  local renewed = shell.wait_until(function()
    for _, pid in ipairs(self:workers()) do
      if not is_in(old, pid) then
        return true
      end
    end
  end, 10)
  assert(renewed, "nginx did not reload")
  return old
end

--- Waits until none of these processes runs.
---@return boolean
function Nginx.await_end(_, pids, seconds)
  return shell.wait_until(function()
    for _, pid in ipairs(pids) do
      if alive(pid) then
        return false
      end
    end
    return true
  end, seconds)
end

--- Lines of the error log at these levels, by default those that say that something is wrong.
---@param levels string[]?
---@return string[]
function Nginx:complaints(levels)
  local found = {}
  for line in shell.read_file(self.directory .. "/error.log"):gmatch "[^\n]+" do
    for _, level in ipairs(levels or { "error", "crit", "alert", "emerg" }) do
      if line:find("[" .. level .. "]", 1, true) then
        found[#found + 1] = line
      end
    end
  end
  return found
end

--- Whether the files of what bodies came are gone: nginx deletes them after it has answered.
---@return boolean
function Nginx:forgets_bodies()
  local files = "find " .. shell.quote(self.directory) .. "/temporary -type f"
  return shell.wait_until(function()
    return shell.run(files).output == ""
  end, 10)
end

--- The names of what lies in its $TMPDIR.
---@return string
function Nginx:leftovers()
  return shell.run("ls -A " .. shell.quote(self.scratch)).output
end

--- Ends it, with a signal that lets it end what it does, and removes its directory. May be called
-- again.
function Nginx:stop()
  if self.is_stopped then
    return
  end
  self.is_stopped = true
  for _, signal in ipairs { "TERM", "KILL" } do
    local pids = self:workers()
    pids[#pids + 1] = self.master
    if alive(self.master) then
      self:signal(signal, self.master)
    end
    if self:await_end(pids, 5) then
      break
    end
  end
  shell.run("rm -rf -- " .. shell.quote(self.directory))
end

return nginx
