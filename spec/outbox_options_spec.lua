--- The option `outbox`: what can be told of it when the client is made.
local sendapi = require "sendapi"
local send_api = require "spec.support.send_api"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

describe("the option 'outbox'", function()
  local directory

  setup(function()
    directory = temporary.directory()
  end)

  teardown(function()
    directory:remove()
  end)

  local function make(outbox)
    local client = sendapi.client("plain", send_api.token, { domain = "acme", outbox = outbox })
    return client -- no tail call, which Lua 5.1 knows no line of
  end

  --- The message, which stands at the caller's line.
  local function refused(outbox)
    local fine, message = pcall(function()
      make(outbox)
    end)
    assert.is_false(fine, tostring(outbox) .. " was taken")
    assert.truthy(message:find("outbox_options_spec.lua:", 1, true), message)
    assert.truthy(message:find("option 'outbox': ", 1, true), message)
    assert.is_nil(message:find("secret", 1, true), message)
    assert.is_nil(message:find("[%z\1-\31]"), message)
    return message
  end

  local function takes(outbox)
    local client = make(outbox)
    assert.equal("sendapi.Client: plain", tostring(client))
    client:close(0)
  end

  it("is a path or a url", function()
    for outbox, expected in pairs {
      [""] = "must not be empty",
      ["a\0b"] = "zero byte",
      ["redis://host\0:secret"] = "zero byte",
      [":memory:"] = "survives nothing",
      ["mysql://user:secret@host/db"] = "'mysql://...'",
      ["REDIS://user:secret@host"] = "'REDIS://...'",
      ["redis:/user:secret@host"] = "'redis...'",
      ["redis//user:secret@host"] = "'redis...'",
      ["file:secret.db"] = "'file...'",
      ["sqlite://secret.db"] = "'sqlite://...'",
      [("a"):rep(100) .. "://secret"] = "aaa...'",
      [" redis://user:secret@host"] = "'://...'",
      ['"redis://user:secret@host"'] = "'://...'",
      ["OUTBOX=redis://user:secret@host"] = "'://...'",
    } do
      assert.truthy(refused(outbox):find(expected, 1, true), refused(outbox))
      assert.falsy(refused(outbox):find("secret", 1, true), refused(outbox))
    end
    for _, outbox in ipairs { 1, true, {}, print } do
      assert.truthy(refused(outbox):find("expected a string", 1, true))
    end
  end)

  it("is refused where no file can be", function()
    local file = directory:write("file", "")
    assert.truthy(refused(directory.path):find("no file can be", 1, true))
    for _, path in ipairs {
      file .. "/outbox.db",
      directory:path_of "none/",
      directory:path_of "" .. ("a"):rep(5000),
      "/",
      "/dev/null",
    } do
      assert.truthy(refused(path):find("no file can be there", 1, true), refused(path))
    end
    takes(directory:path_of "outbox.db")
    takes(directory:path_of "made/later/outbox.db")
    takes(directory:path_of "redis/outbox.db")
  end)

  it("is refused when its url is wrong, and no password is quoted", function()
    for url, expected in pairs {
      ["redis://"] = "no host",
      ["redis://:secret@"] = "no host",
      ["redis://host:0"] = "port",
      ["redis://host:65536"] = "port",
      ["redis://user:secret@host:port"] = "port",
      ["redis://host/one"] = "db",
      ["redis://secret@host"] = "percent-encoded",
      ["redis://user:secret%zz@host"] = "percent-encoded",
      ["redis://user:secret%4@host"] = "percent-encoded",
      ["redis://host?password=secret"] = "option",
      ["redis://host?timeout=never"] = "timeout",
      ["redis://host?lease=0"] = "lease",
      ["redis://host?prefix={secret}"] = "prefix",
      ["redis+unix://relative"] = "absolute path",
      ["rediss://user:secret@host"] = "rediss:// is not supported",
    } do
      assert.truthy(refused(url):find(expected, 1, true), refused(url))
    end
    takes "redis://user:se/cret@127.0.0.1:1/3?prefix=a&timeout=0.01"
    takes("redis+unix:///" .. directory:path_of("none.sock"):sub(2) .. "?timeout=0.01")
  end)
end)

describe("what is promised of an outbox", function()
  local PROMISE = "hen a call returns `true` the message is committed to stable storage; it is "
    .. "delivered at least once, in order within its conversation, or stands in the dead letters "
    .. "with a reason; it is never dropped silently."

  it("is the same, word for word, in the README and where editors show it", function()
    for _, path in ipairs { "README.md", "lua/sendapi/outbox.lua" } do
      local text = shell.read_file(path):gsub("\n%-%- ", "\n"):gsub("%s+", " ")
      assert.truthy(text:find(PROMISE, 1, true), path)
    end
  end)
end)

describe("what names a letter", function()
  local directory, client

  setup(function()
    directory = temporary.directory()
    client = sendapi.client("plain", send_api.token, {
      base_url = "http://127.0.0.1:1",
      outbox = directory:path_of "outbox.db",
      log = function() end,
    })
  end)

  teardown(function()
    client:close(0)
    directory:remove()
  end)

  -- Ids end far below 2^53 (store.h), so a number is one id in LuaJIT, too.
  it("is a whole number that every Lua tells from its neighbours", function()
    local outbox = client:outbox()
    for _, id in ipairs { 0, -1, 0.5, 2 ^ 53, 2 ^ 63, 1e300, math.huge, 0 / 0, "1" } do
      for method, misuse in pairs {
        retry = function()
          outbox:retry(id)
        end,
        discard = function()
          outbox:discard(id)
        end,
      } do
        local fine, message = pcall(misuse)
        assert.is_false(fine)
        assert.truthy(message:find(method .. ": expected a letter's id", 1, true), message)
      end
    end
    for _, value in ipairs { -1, 0.5, 2 ^ 53, math.huge, 0 / 0, "1" } do
      for _, name in ipairs { "after", "limit" } do
        assert.is_false(pcall(outbox.dead, outbox, { [name] = value }))
      end
    end
    assert.equal(0, outbox:discard(9e15))
    assert.equal(0, outbox:retry(9e15))
    assert.same({}, outbox:dead { after = 9e15, limit = 9e15 })
    assert.same({}, outbox:dead { after = 0, limit = 0 })
  end)
end)
