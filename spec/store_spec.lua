--- An outbox's store, opened from outside, in a SQLite file and in Redis.
local host = require "sendapi.sandbox.host"
local outbox = require "spec.support.outbox"
local redis = require "spec.support.redis"
local shell = require "spec.support.shell"
local stores = require "sendapi.store"
local temporary = require "spec.support.temporary"
local traffic = require "spec.support.traffic"

local function ids_of(letters)
  local ids = {}
  for i, letter in ipairs(letters) do
    ids[i] = letter.id
  end
  return ids
end

local function contract(settle)
  local sandbox, place

  setup(function()
    sandbox = assert(host.start { sources = traffic.sources { plain = {}, viewing = {} } })
  end)

  teardown(function()
    sandbox:stop()
  end)

  before_each(function()
    place = settle()
  end)

  --- Three letters, of threads 42, 42 and 7, then two messages of thread 42 that are pending.
  local function fill(source)
    source = source or "plain"
    local dead = outbox.messages(1, 2, "42")
    dead[3] = traffic.message(3, "7")
    outbox.bury(sandbox, place, source, dead)
    outbox.keep(place, source, outbox.messages(4, 5, "42"))
  end

  it("tells what there is", function()
    fill()
    fill "viewing"
    local store = assert(stores.open(place))
    assert.same({ "plain", "viewing" }, store:sources())
    local figures = assert(store:figures "plain")
    assert.same({ 2, 3 }, { figures.pending, figures.dead })
    assert.is_true(figures.pending_bytes > 100)
    assert.is_true(math.abs(os.time() - figures.oldest) < 1000)
    assert.same({ pending = 0, pending_bytes = 0, dead = 0 }, store:figures "nobody")
    store:close()
  end)

  it("shows letters and rows, page by page, with their texts or without", function()
    fill()
    local store = assert(stores.open(place))
    local letters = assert(store:letters "plain")
    assert.equal(3, #letters)
    local first = letters[1]
    assert.same(
      { "messages.create", "refused", 422, 1, "No", "thread 42" },
      { first.action, first.code, first.status, first.attempts, first.reason, first.lane }
    )
    assert.is_nil(first.body)
    assert.is_true(first.died >= first.time)
    local whole = assert(store:letters("plain", { limit = 1, body = true }))
    assert.same({ first.id }, ids_of(whole))
    assert.equal(first.bytes, #whole[1].body)
    assert.truthy(whole[1].body:find('"id":"1"', 1, true))
    local rest = assert(store:letters("plain", { after = first.id }))
    assert.same({ letters[2].id, letters[3].id }, ids_of(rest))
    local rows = assert(store:look("plain", { body = true }))
    assert.equal(2, #rows)
    assert.is_nil(rows[1].code)
    assert.is_nil(rows[1].died)
    assert.equal(rows[1].bytes, #rows[1].body)
    assert.same({}, store:look("plain", { after = rows[2].id }))
    assert.same({}, store:letters "nobody")
    store:close()
  end)

  it("retries and discards", function()
    fill()
    local store = assert(stores.open(place))
    local letters = assert(store:letters "plain")
    assert.equal(1, store:retry("plain", letters[1].id))
    assert.equal(0, store:retry("plain", letters[1].id))
    assert.equal(0, store:discard("nobody", letters[2].id))
    assert.equal(0, store:discard("plain", { lane = "8" }))
    assert.equal(0, store:discard("plain", { lane = 7, after = os.time() + 1000 }))
    assert.equal(1, store:discard("plain", { lane = 7, code = "refused" }))
    assert.same({ letters[2].id }, ids_of(assert(store:letters "plain")))
    assert.equal(1, store:retry("plain", {}))
    assert.equal(0, store:retry("plain", {}))
    assert.equal(4, assert(store:figures "plain").pending)
    store:close()
  end)

  it("raises what is misuse, and forgets everything when it is closed", function()
    fill()
    local store = assert(stores.open(place))
    for message, misuse in pairs {
      ["there is no 'codes' in a filter, did you mean 'code'?"] = function()
        store:discard("plain", { codes = "refused" })
      end,
      ["expected a string"] = function()
        store:discard("plain", { code = 1 })
      end,
      ["there is a NUL in it"] = function()
        store:discard("plain", { code = "refused\0" })
      end,
      ["an id or a filter expected"] = function()
        store:discard("plain", 0)
      end,
      ["number expected"] = function()
        store:retry "plain"
      end,
      ["string expected"] = function()
        store:figures()
      end,
      ["a count expected"] = function()
        store:letters("plain", { limit = -1 })
      end,
      ["an id expected"] = function()
        store:look("plain", { after = 0 / 0 })
      end,
      ["NUL"] = function()
        store:look "pl\0ain"
      end,
    } do
      local is_fine, problem = pcall(misuse)
      assert.is_false(is_fine)
      assert.truthy(problem:find(message, 1, true), problem)
    end
    for _, id in ipairs { -1, 0.5, 1.5, 2 ^ 53, 2 ^ 64, math.huge, 0 / 0 } do
      assert.is_false(pcall(store.discard, store, "plain", id))
      assert.is_false(pcall(store.retry, store, "plain", id))
      assert.is_false(pcall(store.letters, store, "plain", { after = id }))
    end
    assert.equal(3, assert(store:figures "plain").dead)
    store:close()
    store:close()
    for _, method in ipairs { "sources", "figures", "letters", "look" } do
      local is_fine, problem = pcall(store[method], store, "plain")
      assert.is_false(is_fine)
      assert.truthy(problem:find("the store is closed", 1, true), problem)
    end
  end)

  it("is closed when nobody refers to it", function()
    fill()
    for _ = 1, 200 do
      assert(stores.open(place)):sources()
    end
    collectgarbage()
    collectgarbage()
    local held = shell.run("ls /proc/" .. shell.run("echo $PPID").output:match "%d+" .. "/fd")
    local _, count = held.output:gsub("\n", "")
    assert.is_true(held.status ~= 0 or count < 150, "descriptors: " .. count)
  end)
end

describe("a store in SQLite", function()
  local directory
  local places = 0

  setup(function()
    directory = temporary.directory()
  end)

  teardown(function()
    directory:remove()
  end)

  contract(function()
    places = places + 1
    return directory:path_of(places .. ".db")
  end)

  it("is not made when it is not there", function()
    local path = directory:path_of "nothing.db"
    local store, message = stores.open(path)
    assert.is_nil(store)
    assert.equal("there is no outbox (" .. path .. ")", message)
    assert.equal("", shell.run("ls " .. shell.quote(directory.path) .. " | grep nothing").output)
  end)

  it("says what is no outbox", function()
    local path = directory:write("diary.txt", "Dear diary")
    local store, message = stores.open(path)
    assert.is_nil(store)
    assert.truthy(message:find("not in use as an outbox", 1, true), message)
    store, message = stores.open(directory.path)
    assert.is_nil(store)
    assert.truthy(message:find("directory", 1, true), message)
    store, message = stores.open ""
    assert.is_nil(store)
    assert.is_string(message)
  end)
end)

describe("a store in Redis", function()
  local server
  local places = 0

  setup(function()
    server = redis.start()
  end)

  teardown(function()
    server:stop()
  end)

  contract(function()
    places = places + 1
    return ("%s?timeout=10&prefix=p%d:"):format(server.unix_url, places)
  end)

  it("is empty when nothing was put there, and stays so", function()
    local before = server:ask "DBSIZE"
    local store = assert(stores.open(server.unix_url .. "?prefix=nothing:"))
    assert.same({}, store:sources())
    assert.equal(0, store:retry("plain", {}))
    assert.equal(0, store:discard("plain", 7))
    store:close()
    assert.equal(before, server:ask "DBSIZE")
  end)

  it("tells no password", function()
    for _, place in ipairs {
      "redis://:secret@127.0.0.1:1",
      "redis://secret:secret@[::1",
      "rediss://:secret@127.0.0.1:1",
      "redis+unix://:secret@" .. server.directory:path_of "nothing",
      "redis+unix://:secret@" .. server.directory:path_of "socket",
    } do
      local store, message = stores.open(place)
      assert.is_nil(store)
      assert.is_string(message)
      assert.is_nil(message:find("secret", 1, true), message)
    end
  end)
end)
