--- `sendapi sandbox`: a sandbox in the foreground.
local command = require "spec.support.command"
local sandboxes = require "spec.support.sandbox"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local assert_complaint, quote, run = command.assert_complaint, shell.quote, command.run

describe("sendapi sandbox", function()
  local directory, pid, is_ended, text, url

  setup(function()
    directory = temporary.directory()
  end)

  teardown(function()
    if pid and not is_ended then
      shell.run("kill -s KILL " .. pid) -- a spec that failed has left it
    end
    directory:remove()
  end)

  local function path_of(name)
    return quote(directory:path_of(name))
  end

  --- Starts one in the background and waits for its ready line.
  local function start(arguments)
    local inner = ("echo $$ >%s; exec %s sandbox %s"):format(
      path_of "pid",
      command.words,
      arguments
    )
    shell.run("rm -f -- " .. path_of "output" .. " " .. path_of "status")
    shell.run(
      ("(sh -c %s >%s 2>%s; echo $? >%s) >/dev/null 2>&1 &"):format(
        quote(inner),
        path_of "output",
        path_of "errors",
        path_of "status"
      )
    )
    text = shell.wait_until(function()
      local output = command.text_of(directory:path_of "output") or ""
      return output:find "\nready %S+\n$" and output
    end, 60)
    pid, is_ended = shell.read_file(directory:path_of "pid"):match "%d+", false
    assert(text, shell.read_file(directory:path_of "errors"))
    url = text:match "\nready (%S+)\n$"
  end

  --- The exit status, once it has ended.
  local function status()
    local number = shell.wait_until(function()
      return tonumber(command.text_of(directory:path_of "status") or "")
    end, 60)
    is_ended = number ~= nil
    return number
  end

  --- The directory of the nginx that listens at its port.
  local function find_folder()
    local find = "grep -l 'listen [^ ]*:%s;' \"${TMPDIR:-/tmp}\"/sendapi-sandbox.*/nginx.conf"
    return assert(shell.run(find:format(url:match "%d+$")).output:match "^(.-)/nginx.conf\n")
  end

  local function is_gone(path)
    return shell.run("test -e " .. quote(path)).status ~= 0
  end

  local function signal(name)
    return shell.run(("kill -s %s %s"):format(name, pid)).status == 0
  end

  local function line_of(pattern)
    for line in text:gmatch "[^\n]+" do
      if line:find(pattern) then
        return line
      end
    end
    error("there is no line " .. pattern)
  end

  describe("while it runs", function()
    setup(function()
      start "--port 0"
    end)

    teardown(function()
      assert(signal "TERM")
      assert.are.equal(0, status())
    end)

    it("takes a first message by the lines that it prints", function()
      local environment = line_of "^export " .. "\n"
      local by_lua = shell.run(environment .. line_of "^lua")
      assert.are.same({ 0, "" }, { by_lua.status, by_lua.errors })
      assert.matches("^true", by_lua.output)
      local by_curl = shell.run(environment .. line_of "curl ")
      assert.are.same({ 0, "ok\n", "" }, { by_curl.status, by_curl.output, by_curl.errors })
      local journal = shell.read_file(find_folder() .. "/received.jsonl")
      assert.matches("Hello from Lua", journal)
      assert.matches("Hello from curl", journal)
    end)

    it("says where it is, and that it is not the real service", function()
      assert.matches("^A sandbox, not the real service", text)
      assert.matches("\n  page    " .. url .. "/\n", text)
      assert.matches("\n  source  %x+\n  token   %x+\n", text)
    end)

    it("keeps its port", function()
      local port = url:match "%d+$"
      local said = ("port %s is taken; `--port 0` takes a free one\n"):format(port)
      assert_complaint(1, said, run("sandbox --port " .. port))
    end)
  end)

  it("has the source that it was told", function()
    start "--port 0 --id chat --token 'it'\\''s' --option messages.unthreaded"
    assert.matches("\n  source  chat\n  token   it's\n", text)
    local params = '{"id":"1","author":{"id":"7","screenname":"A","created_at":"d"},"body":"b"}'
    local send = "send messages.create --option messages.unthreaded "
    local sent = shell.run(line_of "^export " .. "\n" .. command.words .. send .. quote(params))
    assert.are.same({ 0, "ok\n", "" }, { sent.status, sent.output, sent.errors })
    assert(signal "INT")
    assert.are.equal(0, status())
  end)

  for _, name in ipairs { "INT", "TERM", "HUP" } do
    it("cleans up after SIG" .. name, function()
      start "--port 0"
      local folder = find_folder()
      local pids = sandboxes.process_ids(folder)
      assert(signal(name))
      assert.are.equal(0, status())
      assert.is_true(is_gone(folder))
      assert.is_true(sandboxes.are_gone(pids))
      assert.are.equal("", shell.read_file(directory:path_of "errors"))
    end)
  end

  it("leaves nothing behind when it is killed", function()
    start "--port 0"
    local folder = find_folder()
    local pids = sandboxes.process_ids(folder)
    assert(signal "KILL")
    assert.are.equal(137, status())
    assert.is_true(shell.wait_until(function()
      return is_gone(folder) and sandboxes.are_gone(pids)
    end, 60))
  end)

  it("ends when its nginx was ended", function()
    start "--port 0"
    local folder = find_folder()
    shell.run("kill -s TERM " .. sandboxes.process_ids(folder)[1])
    assert.are.equal(1, status())
    local said = shell.read_file(directory:path_of "errors")
    assert.are.equal("sendapi: the sandbox was ended by somebody else\n", said)
    assert.is_true(is_gone(folder))
  end)

  it("refuses wrong options", function()
    local port = "port: expected a number from 0 (a free one) to 65535\n"
    assert_complaint(2, port, run "sandbox --port 65536")
    assert_complaint(2, "source 'a': token: it is empty\n", run "sandbox --id a --token ''")
    assert_complaint(2, "sources: 'a/b' is no id: ", run "sandbox --id a/b")
    assert_complaint(
      2,
      "source 'a': options: there is no 'view.message'",
      run "sandbox --id a --option view.message"
    )
    assert_complaint(2, "source 'a': connector: ", run "sandbox --id a --connector localhost")
  end)

  describe("with a file of options", function()
    local function with(content)
      return run("sandbox --config " .. quote(directory:write("config.lua", content)))
    end

    it("does what it says, but for what the command line says", function()
      local path = directory:write(
        "config.lua",
        'return { port = 1, sources = { a = { token = "1" }, b = { token = "2" } } }'
      )
      start("--port 0 --config " .. quote(path))
      assert.matches("\n  source  a\n  token   1\n  source  b\n  token   2\n", text)
      assert.are.equal(
        ("export SENDAPI_BASE_URL='%s' SENDAPI_SOURCE='a' SENDAPI_TOKEN='1'"):format(url),
        line_of "^export "
      )
      assert(signal "TERM")
      assert.are.equal(0, status())
    end)

    it("says what is wrong with it", function()
      local path, none = directory:path_of "config.lua", directory:path_of "none.lua"
      local no_table = path .. ": expected it to return a table of options, got a number\n"
      local compiled = with(string.dump(function() end))
      local both = "'token' is for a sandbox without 'sources': say it there\n"
      local twice = directory:write("twice.lua", "return { sources = { a = {} } }")
      assert_complaint(2, none .. ": No such file", run("sandbox --config " .. none))
      assert_complaint(2, directory.path .. ": ", run("sandbox --config " .. directory.path))
      assert_complaint(2, path .. ":1: ", with "return {")
      assert_complaint(2, path .. ":2: ", with "\nreturn os.getenv 'HOME'")
      assert_complaint(2, path .. ":1: ", with "local no; return no.table")
      assert_complaint(2, no_table, with "return 8080")
      assert_complaint(2, "there is no option 'prot'", with "return { prot = 1 }")
      assert_complaint(2, both, run("sandbox --token x --config " .. twice))
      assert.are.equal(2, compiled.status)
      assert.is_nil(compiled.errors:find("traceback", 1, true))
    end)
  end)
end)
