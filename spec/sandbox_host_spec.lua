local curl = require "spec.support.curl"
local host = require "sendapi.sandbox.host"
local send_api = require "spec.support.send_api"
local shell = require "spec.support.shell"
local support = require "spec.support.sandbox"

local post, start = support.post, support.start
local token = send_api.token
local good = send_api.request("users.create", send_api.user)

local function assert_accepted(answer)
  assert.are.equal("", answer.errors)
  assert.are.equal("ok", answer.body)
  assert.are.equal(200, answer.status)
end

local function exists(path)
  return shell.run("test -e " .. shell.quote(path)).status == 0
end

describe("the sandbox's host", function()
  it("keeps its directory and its keys to itself", function()
    local sandbox = start()
    local list = shell.run("ls -ld " .. shell.quote(sandbox.directory) .. "; ls -l "
      .. shell.quote(sandbox.directory) .. "/*.key").output
    sandbox:stop()
    assert.are.equal("drwx------", list:sub(1, 10))
    local _, keys = list:gsub("\n%-rw%-%-%-%-%-%-%-", "")
    assert.are.equal(2, keys)
  end)

  it("listens on loopback only", function()
    local sandbox = start()
    local config = shell.read_file(sandbox.directory .. "/nginx.conf")
    sandbox:stop()
    local listeners = 0
    for address in config:gmatch "listen ([^;]+);" do
      assert.is_truthy(address:find "^127%.0%.0%.1:%d+" or address == "unix:connector.sock")
      listeners = listeners + 1
    end
    assert.are.equal(4, listeners)
  end)

  it("listens on another address when it is told to, for those who name it", function()
    local sandbox = start { host = "127.0.0.2" }
    local port = sandbox.http:match "%d+$"
    local function status(host_header)
      local command = "curl -sS --noproxy '*' -o /dev/null -w '%%{http_code}' -H 'Host: %s' "
        .. "http://127.0.0.2:%s/_sandbox/state"
      return shell.run(command:format(host_header, port)).output
    end
    local statuses = {
      status("127.0.0.2:" .. port),
      status("127.0.0.1:" .. port),
      status("127.0.0.3:" .. port),
      status("evil.example:" .. port),
    }
    sandbox:stop()
    assert.are.same({ "200", "200", "403", "403" }, statuses)
    sandbox = start { host = "0.0.0.0" }
    port = sandbox.http:match "%d+$"
    statuses = { status("10.1.2.3:" .. port), status("evil.example:" .. port) }
    sandbox:stop()
    assert.are.same({ "200", "403" }, statuses)
  end)

  it("leaves no process and no directory, however often it is stopped", function()
    local sandbox = start()
    local pids = support.process_ids(sandbox.directory)
    assert.is_false(support.are_gone(pids))
    sandbox:stop()
    sandbox:stop()
    assert.is_true(support.are_gone(pids))
    assert.is_false(exists(sandbox.directory))
    assert.are.equal(7, post(sandbox, "plain", good).exit)
    assert.are.same({}, sandbox:received())
  end)

  it("stops at once while an answer is still due", function()
    local sandbox = start { sources = {
      plain = { token = token, fault = { kind = "delay", seconds = 20 } },
    } }
    local url = shell.quote(sandbox.http .. "/realtime/sdk/plain")
    local waiting = io.popen("curl -s --noproxy '*' --max-time 20 -d '{}' " .. url, "r")
    assert.is_truthy(shell.wait_until(function()
      return #sandbox:received() > 0
    end, 20))
    local began = os.time()
    sandbox:stop()
    waiting:close()
    assert.is_true(os.time() - began <= 3)
  end)

  it("takes the port that it is given, and says so when that is in use", function()
    local first = start()
    local port = tonumber(first.http:match "%d+$")
    local began = os.time()
    local second, message = host.start { sources = support.sources(), http = port }
    assert.is_nil(second)
    assert.is_truthy(message:find("Address already in use", 1, true))
    assert.is_truthy(message:find(":" .. port, 1, true))
    assert.is_true(os.time() - began <= 2)
    first:stop()
    local third = start { http = port }
    assert.are.equal(first.http, third.http)
    assert_accepted(post(third, "plain", good))
    third:stop()
  end)

  it("tries other ports when those it chose are in use", function()
    local first = start()
    local offset = tonumber(first.https:match "%d+$") - 10240
    local in_use = string.char(math.floor(offset / 256), offset % 256)
    local open, times = io.open, 0
    local opening = stub(io, "open", function(path, ...)
      if path ~= "/dev/urandom" or times == 1 then
        return open(path, ...)
      end
      times = times + 1
      return {
        setvbuf = function() end,
        close = function() end,
        read = function()
          return in_use
        end,
      }
    end)
    local began = os.time()
    local second, message = host.start { sources = support.sources() }
    opening:revert()
    first:stop()
    assert.is_nil(message)
    assert.are.equal(1, times)
    assert.is_true(os.time() - began <= 2)
    assert_accepted(post(second, "plain", good))
    second:stop()
  end)

  it("keeps two sandboxes apart", function()
    local one = start()
    local two = start { sources = { only = { token = token } } }
    assert_accepted(post(one, "plain", good))
    assert.are.equal("Source not found", post(two, "plain", good).body)
    assert_accepted(post(two, "only", good, two.https))
    assert.are.equal(60, curl.post(two.https, good, { ca_file = one.ca_file }).exit)
    assert.are.equal(1, #one:received())
    assert.are.equal(2, #two:received())
    one:stop()
    assert_accepted(post(two, "only", good))
    two:stop()
  end)

  it("raises at the caller's line for wrong options", function()
    local function assert_raises(expected, options)
      local ok, message = pcall(function()
        local sandbox = host.start(options)
        return sandbox
      end)
      assert.is_false(ok)
      assert.is_truthy(message:find("^[^\n]*sandbox_host_spec.lua:%d+: sandbox: "))
      assert.is_truthy(message:find(expected, 1, true), message)
    end
    assert_raises("sources must be a table")
    assert_raises("sources must be a table", { sources = 1 })
    assert_raises('there is no option "port"', { sources = {}, port = 80 })
    assert_raises('source "a"', { sources = { a = {} } })
    assert_raises('source "1"', { sources = { { token = "t" } } })
    assert_raises("host must be", { sources = {}, host = 1 })
    assert_raises("host must be", { sources = {}, host = "a; b" })
    assert_raises("open must be", { sources = {}, open = "yes" })
    assert_raises("as JSON", { sources = { a = { token = "t", options = { print } } } })
    local function with_fault(fault)
      return { sources = { a = { token = "t", fault = fault } } }
    end
    assert_raises('no fault of the kind "slow"', with_fault { kind = "slow" })
    assert_raises("a fault must be a table", with_fault "close")
    assert_raises('"delay" needs a number in "seconds"', with_fault { kind = "delay" })
  end)

  it("says what nginx said when that does not start", function()
    local sandbox, message = host.start { sources = {}, log = "loud" }
    assert.is_nil(sandbox)
    assert.is_truthy(message:find "^nginx did not start: .*invalid log level \"loud\"")
    sandbox, message = host.start { sources = {}, nginx = "no-such-nginx" }
    assert.is_nil(sandbox)
    assert.is_truthy(message:find "^no%-such%-nginx was not found")
  end)

  it("leaves nothing behind when nginx does not start", function()
    local parent = shell.run("mktemp -d").output:match "%S+"
    local script = [[
      local host = require "sendapi.sandbox.host"
      assert(not host.start { sources = {}, log = "loud" })
      assert(not host.start { sources = {}, nginx = "no-such-nginx" })
    ]]
    local result = shell.run(("TMPDIR=%s LUA_PATH=%s %s -e %s; rmdir %s"):format(
      parent, shell.quote(package.path), shell.interpreter(), shell.quote(script), parent))
    assert.are.equal("", result.errors)
    assert.are.equal(0, result.status)
  end)
end)

describe("a sandbox without its owner", function()
  local script = [[
    local host = require "sendapi.sandbox.host"
    sandbox = assert(host.start { sources = { plain = { token = "t" } } })
    local pipe = io.popen "echo $PPID"
    local report = assert(io.open(arg[1], "w"))
    report:write(sandbox.directory, "\n", pipe:read "*l", "\n")
    report:close()
    pipe:close()
    io.read()
  ]]

  --- Another process that starts a sandbox and waits for a line: a pipe to it, the sandbox's
  -- directory and the process's id.
  local function start_owner()
    local path, report = os.tmpname(), os.tmpname()
    shell.write_file(path, script)
    local owner = assert(io.popen(("LUA_PATH=%s exec %s %s %s"):format(
      shell.quote(package.path), shell.interpreter(), path, report), "w"))
    local directory, pid
    assert.is_truthy(shell.wait_until(function()
      directory, pid = shell.read_file(report):match "^(%S+)\n(%d+)\n"
      return pid
    end, 10))
    os.remove(path)
    os.remove(report)
    return owner, directory, pid
  end

  it("ends when its owner was killed, even if nobody collects that", function()
    local owner, directory, pid = start_owner()
    local pids = support.process_ids(directory)
    shell.run("kill -9 " .. pid)
    local is_over = shell.wait_until(function()
      return support.are_gone(pids) and not exists(directory)
    end, 20)
    owner:close()
    assert.is_true(is_over)
  end)

  it("ends when its owner ends without stopping it", function()
    local owner, directory = start_owner()
    local pids = support.process_ids(directory)
    owner:write "\n"
    owner:close()
    assert.is_true(shell.wait_until(function()
      return support.are_gone(pids) and not exists(directory)
    end, 20))
  end)

  it("ends when its directory is gone, or nginx's master process", function()
    local first, second = start(), start()
    local pids = support.process_ids(first.directory)
    local master_and_worker = support.process_ids(second.directory)
    shell.run("rm -rf -- " .. shell.quote(first.directory))
    shell.run("kill -9 " .. master_and_worker[1])
    assert.is_true(shell.wait_until(function()
      return support.are_gone(pids)
        and support.are_gone(master_and_worker)
        and not exists(second.directory)
    end, 20))
    first:stop()
    second:stop()
  end)
end)
