--- What an outbox tells the client's `log` by itself.
local core = require "sendapi.core"
local sendapi = require "sendapi"
local send_api = require "spec.support.send_api"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"
local traffic = require "spec.support.traffic"

local PATIENCE = 20 -- seconds, at most

describe("the log of a client with an outbox", function()
  local directory, logged, clients

  before_each(function()
    directory = temporary.directory()
    logged, clients = {}, {}
  end)

  after_each(function()
    for _, client in ipairs(clients) do
      client:close(0)
    end
    directory:remove()
  end)

  local function new(place)
    local client = sendapi.client("plain", send_api.token, {
      base_url = "http://127.0.0.1:1",
      outbox = place,
      log = function(level, message)
        logged[#logged + 1] = level .. ": " .. message
      end,
    })
    clients[#clients + 1] = client
    return client
  end

  local function times(text)
    local count = 0
    for _, line in ipairs(logged) do
      count = count + (line:find(text, 1, true) and 1 or 0)
    end
    return count
  end

  local function await(client, text)
    local deadline = core.now() + PATIENCE
    while times(text) == 0 do
      assert.is_true(core.now() < deadline, "not told: " .. text)
      client:poll()
      client:flush(0.01)
      core.sleep(0.01)
    end
  end

  it("tells that a damaged file was put aside", function()
    local path = directory:path_of "outbox.db"
    local client = new(path)
    assert(client.messages:create(traffic.message(1)))
    client:close()
    local file = assert(io.open(path, "r+b"))
    assert(file:seek("set", 4096))
    file:write(("x"):rep(8192))
    file:close()
    client = new(path)
    await(client, "warn: ")
    assert.equal(1, times ".corrupt-")
    assert.equal(0, client:outbox():pending())
  end)

  it("tells once that the outbox cannot be opened", function()
    local client = new(directory:path_of "made/later.db")
    await(client, "error: storage")
    assert.equal(1, times "cannot be opened")
    core.sleep(2.5) -- it is tried each second
    client:poll()
    assert.equal(1, times "cannot be opened")
    assert.equal(0, shell.run("mkdir " .. shell.quote(directory:path_of "made")).status)
    local deadline = core.now() + PATIENCE
    local count
    repeat
      count = client:outbox():pending()
    until count or core.now() > deadline
    assert.equal(0, count)
  end)

  it("tells how Redis may lose what it confirmed", function()
    if shell.run("command -v redis-server").status ~= 0 then
      pending "there is no redis-server"
      return
    end
    local socket, pid = directory:path_of "socket", directory:path_of "pid"
    local server = ("cd %s && redis-server --port 0 --unixsocket %s --pidfile %s"):format(
      shell.quote(directory.path),
      shell.quote(socket),
      shell.quote(pid)
    )
    local settings = " --appendonly no --maxmemory-policy allkeys-lru --requirepass secret"
    local manner = " --save '' --daemonize yes >/dev/null"
    assert.equal(0, shell.run(server .. settings .. manner).status)
    finally(function()
      shell.run("kill -KILL $(cat " .. shell.quote(pid) .. ")")
    end)
    local client = new("redis+unix://:secret@" .. socket)
    await(client, "warn: ")
    assert.equal(0, client:outbox():pending())
    assert.equal(1, times "maxmemory-policy other than noeviction")
    assert.equal(1, times "appendonly off")
    assert.equal(0, times "secret")
  end)
end)
