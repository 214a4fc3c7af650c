-- A create that is repeated answers what the first one answered; and the stores that make it so.
local cjson = require "cjson"
local openssl = require "spec.support.openssl"
local stores = require "sendapi.connector.store"
local support = require "spec.support.connector"

local ask, body, send = support.ask, support.body, support.send

local RUNNING = '{"error":{"fatal":false,'
  .. '"message":"The first request to create this is still being handled."}}'
local FAILED = '{"error":{"fatal":false,"message":"Try later."}}'

--- A connector whose creates count; `handler` may take the place of the usual one.
local function counting(definition, handler)
  local calls = { count = 0 }
  local function create(params)
    calls.count = calls.count + 1
    if handler then
      return handler(params, calls.count)
    end
    return { id = "post " .. calls.count }
  end
  definition.messages = { create = create }
  definition.threads = { create = create }
  local connector, log = support.new(definition)
  return connector, calls, log
end

local function create(connector, content_id, retry)
  return ask(connector, "messages.create", { content_id = content_id, retry = retry, body = "Hi" })
end

--- A store of a table, without bounds: `methods` names those it has beside get and set.
local function plain_store(methods)
  local kept, seconds = {}, {}
  local store = { kept = kept, seconds = seconds }
  function store.get(_, key)
    return kept[key]
  end
  function store.set(_, key, value, time)
    assert(type(key) == "string" and type(value) == "string" and type(time) == "number")
    kept[key], seconds[key] = value, time
  end
  local others = {}
  function others.add(_, key, value, time)
    if kept[key] then
      return false, "exists"
    end
    kept[key], seconds[key] = value, time
    return true
  end
  function others.delete(_, key)
    kept[key], seconds[key] = nil, nil
  end
  for _, name in ipairs(methods or {}) do
    store[name] = others[name]
  end
  return store
end

local kinds = {
  ["in memory"] = function()
    return nil
  end,
  ["with get and set"] = plain_store,
  ["with add"] = function()
    return plain_store { "add" }
  end,
  ["with add and delete"] = function()
    return plain_store { "add", "delete" }
  end,
}

for name, new_store in pairs(kinds) do
  describe("a repeated create, its store " .. name .. ",", function()
    it("answers the same without the handler, signed anew", function()
      local connector, calls = counting { store = new_store() }
      local first = create(connector, "c1")
      assert.are.equal('{"id":"post 1"}', first)
      assert.are.equal(first, create(connector, "c1", true))
      assert.are.equal(first, create(connector, "c1", true))
      assert.are.equal(1, calls.count)
    end)

    it("is another one when its content or its object is", function()
      local connector, calls = counting { store = new_store() }
      create(connector, "c1")
      create(connector, "c2")
      ask(connector, "threads.create", { content_id = "c1" })
      assert.are.equal(3, calls.count)
    end)

    it("takes a number for an id, but none that may have lost digits", function()
      local connector, calls = counting { store = new_store() }
      create(connector, 7)
      create(connector, "7")
      assert.are.equal(1, calls.count)
      for _ = 1, 2 do
        ask(connector, "messages.create", '{"content_id":12345678901234567890}')
        ask(connector, "messages.create", '{"content_id":0.5}')
      end
      assert.are.equal(5, calls.count)
    end)

    it("needs an id by which to know it", function()
      local connector, calls = counting { store = new_store() }
      local ids = { "null", '""', "{}", "[1]", "true", '"' .. ("x"):rep(257) .. '"' }
      for _, id in ipairs(ids) do
        for _ = 1, 2 do
          ask(connector, "messages.create", ('{"content_id":%s}'):format(id))
        end
      end
      assert.are.equal(2 * #ids, calls.count)
    end)

    it("is tried again when it failed", function()
      local connector, calls = counting({ store = new_store() }, function(_, count)
        if count == 1 then
          return nil, "Try later."
        elseif count == 2 then
          error "lost the database"
        elseif count == 3 then
          return { body = "no id" }
        elseif count == 4 then
          return nil, { message = "Never.", fatal = true }
        end
        return { id = "post" }
      end)
      assert.are.equal(FAILED, create(connector, "c"))
      for _ = 1, 3 do
        assert.is_truthy(create(connector, "c", true):find '^{"error"')
      end
      assert.are.equal('{"id":"post"}', create(connector, "c", true))
      assert.are.equal('{"id":"post"}', create(connector, "c", true))
      assert.are.equal(5, calls.count)
    end)

    it("answers an error that may be tried again while the first one is running", function()
      local connector, inner
      connector = counting({ store = new_store() }, function()
        inner = create(connector, "c", true)
        return { id = "post" }
      end)
      assert.are.equal('{"id":"post"}', create(connector, "c"))
      assert.are.equal(RUNNING, inner)
      assert.are.equal('{"id":"post"}', create(connector, "c", true))
    end)
  end)
end

describe("without a store", function()
  it("every create is handled", function()
    local connector, calls = counting { store = false }
    create(connector, "c")
    create(connector, "c", true)
    assert.are.equal(2, calls.count)
  end)
end)

describe("a store", function()
  local function key_of(store)
    local key = next(store.kept)
    assert.is_nil(next(store.kept, key))
    return key
  end

  it("keeps a mark shortly, an answer for a day, by the action and the content", function()
    local store, marks = plain_store(), {}
    local connector = counting({ store = store }, function()
      marks[1], marks[2] = store.kept[key_of(store)], store.seconds[key_of(store)]
      return { id = "1" }
    end)
    create(connector, "c 1")
    local scope = openssl.sign(support.TOKEN, "store"):sub(1, 16)
    assert.are.equal(("sendapi %s messages.create c 1"):format(scope), key_of(store))
    assert.are.same({ "running", 30 }, marks)
    assert.are.equal('{"id":"1"}', store.kept[key_of(store)])
    assert.are.equal(86400, store.seconds[key_of(store)])
  end)

  it("may be shared: by workers of one source, and by sources that stay apart", function()
    local store = plain_store()
    local function connector_of(tokens, id)
      return (
        support.new({
          store = store,
          messages = {
            create = function()
              return { id = id }
            end,
          },
        }, tokens)
      )
    end
    local request = body("messages.create", { content_id = "c" })
    for _, case in ipairs {
      { "one", "first", "first", "one" },
      { "one", "worker", "first", "one" },
      { { "two", "one" }, "rotating", "first", "one" },
      { "other", "other", "other", "other" },
    } do
      local connector = connector_of(case[1], case[2])
      local expected = ('{"id":"%s"}'):format(case[3])
      assert.are.same({ 200, expected }, { send(connector, request, case[4]) })
    end
  end)

  it("knows a repetition that the other token of a rotation signs", function()
    for _, methods in ipairs { {}, { "add", "delete" } } do
      local connector, inner
      local request = body("messages.create", { content_id = "c" })
      connector = support.new({
        store = plain_store(methods),
        messages = {
          create = function()
            assert.is_nil(inner, "handled twice")
            inner = select(2, send(connector, request, "new"))
            return { id = "1" }
          end,
        },
      }, { "new", "old" })
      for _, token in ipairs { "old", "new", "old" } do
        assert.are.same({ 200, '{"id":"1"}' }, { send(connector, request, token) })
      end
      assert.are.equal(RUNNING, inner)
    end
  end)

  it("is not believed when what it keeps is no answer", function()
    local cases = { "", "nonsense", "failed", 42, true, {} }
    for _, json in ipairs { "{", "{}", '{"id":"1"}{', '{"id":""}', '{"id":1}', "1" } do
      cases[#cases + 1] = json
    end
    for _, kept in ipairs(cases) do
      local store = plain_store()
      local connector, calls = counting { store = store }
      create(connector, "c")
      calls.count = 0
      store.kept[key_of(store)] = kept
      assert.are.equal('{"id":"post 1"}', create(connector, "c"))
      assert.are.equal('{"id":"post 1"}', create(connector, "c", true))
      assert.are.equal(1, calls.count)
    end
  end)

  --- A store of which one method does something else.
  local function broken(method, behaviour)
    local store = plain_store { "add", "delete" }
    store[method] = behaviour
    return store
  end

  local ways = {
    raises = function()
      error("no connection", 0)
    end,
    ["returns nil and a message"] = function()
      return nil, "no connection"
    end,
    ["returns false and a message"] = function()
      return false, "no connection"
    end,
  }

  for way, behaviour in pairs(ways) do
    for _, method in ipairs { "get", "set", "add" } do
      it(("of which %s %s does not keep a create back"):format(method, way), function()
        local connector, calls, log = counting { store = broken(method, behaviour) }
        assert.are.equal('{"id":"post 1"}', create(connector, "c"))
        assert.are.equal(1, calls.count)
        create(connector, "c", true)
        local expected = ("warn: connector: the store cannot %s: no connection"):format(method)
        assert.are.equal(expected, log[1])
        for _, line in ipairs(log) do
          assert.are.equal(expected, line)
        end
      end)
    end
  end

  it("that cannot forget leaves the mark to its time", function()
    local store = broken("delete", ways.raises)
    local connector, _, log = counting({ store = store }, function()
      return nil, "Try later."
    end)
    assert.are.equal(FAILED, create(connector, "c"))
    assert.are.same({ "warn: connector: the store cannot delete: no connection" }, log)
    assert.are.equal(RUNNING, create(connector, "c", true))
  end)

  it("may have errors of any kind, cut short", function()
    local unprintable = setmetatable({}, {
      __tostring = function()
        error "unprintable"
      end,
    })
    for shown, problem in pairs {
      [("x"):rep(60) .. "..."] = ("x"):rep(1000),
      ["a?b"] = "a\nb",
      ["42"] = 42,
      ["table"] = unprintable,
    } do
      local connector, _, log = counting {
        store = broken("set", function()
          return nil, problem
        end),
      }
      assert.are.equal('{"id":"post 1"}', create(connector, "c"))
      assert.are.equal("warn: connector: the store cannot set: " .. shown, log[1])
    end
  end)
end)

describe("the store in memory", function()
  local time, store

  local function new(limits)
    limits = limits or {}
    time = 1000
    limits.now = function()
      return time
    end
    store = stores.memory(limits)
  end

  it("keeps, adds, replaces and deletes", function()
    new()
    assert.is_nil(store:get "a")
    assert.is_true(store:set("a", "1", 10))
    assert.is_false(store:add("a", "2", 10))
    assert.are.equal("1", store:get "a")
    store:set("a", "2", 10)
    assert.are.equal("2", store:get "a")
    store:delete "a"
    store:delete "a"
    assert.is_nil(store:get "a")
    assert.is_true(store:add("a", "3", 10))
    assert.are.equal("3", store:get "a")
  end)

  it("forgets at the end of the time", function()
    new()
    store:set("a", "1", 10)
    time = 1009.9
    assert.are.equal("1", store:get "a")
    assert.is_false(store:add("a", "2", 10))
    time = 1010
    assert.is_true(store:add("a", "2", 5))
    time = 1014
    assert.are.equal("2", store:get "a")
    time = 1015
    assert.is_nil(store:get "a")
    assert.are.same({ 0, 0 }, { store.count, store.bytes })
  end)

  it("keeps no more entries than it may, the newest", function()
    new { entries = 100 }
    for i = 1, 1000 do
      store:set("key " .. i, "value", 10)
      assert.is_true(store.count <= 100)
    end
    assert.is_nil(store:get "key 900")
    for i = 901, 1000 do
      assert.are.equal("value", store:get("key " .. i))
    end
  end)

  it("counts as newest what is replaced", function()
    new { entries = 2 }
    store:set("a", "1", 10)
    store:set("b", "1", 10)
    store:set("a", "2", 10)
    store:set("c", "1", 10)
    assert.are.same({ "2", "1" }, { store:get "a", store:get "c" })
    assert.is_nil(store:get "b")
  end)

  it("keeps no more bytes than it may", function()
    new { bytes = 1000 }
    for i = 1, 100 do
      store:set(("%03d"):format(i), ("x"):rep(97), 10)
      assert.is_true(store.bytes <= 1000)
    end
    assert.are.equal(10, store.count)
    store:set("large", ("x"):rep(996), 10)
    assert.is_nil(store:get "large")
    assert.are.same({ 0, 0 }, { store.count, store.bytes })
    assert.is_nil(next(store.entries))
  end)

  it("holds nothing of what was deleted, however much came and went behind what stays", function()
    new()
    store:set("stays", "1", 1000)
    for i = 1, 20000 do
      store:add("key " .. i, "value", 10)
      store:delete("key " .. i)
    end
    local count, entry = 0, store.next
    while entry ~= store do
      count, entry = count + 1, entry.next
    end
    assert.are.same({ 1, 1 }, { count, store.count })
  end)

  it("agrees with a naive one whatever is done to it", function()
    local generator = require("spec.support.generator").new(20121001)
    new { entries = 1000 }
    local naive = {}
    for _ = 1, 5000 do
      time = time + generator:below(3)
      local key, value = "k" .. generator:below(20), tostring(generator:below(1000))
      local seconds, what = generator:below(30) + 1, generator:below(4)
      local alive = naive[key] and naive[key].ends > time and naive[key] or nil
      if what == 0 then
        assert.are.equal(alive and alive.value, store:get(key))
      elseif what == 1 then
        store:set(key, value, seconds)
        naive[key] = { value = value, ends = time + seconds }
      elseif what == 2 then
        assert.are.equal(not alive, store:add(key, value, seconds))
        naive[key] = alive or { value = value, ends = time + seconds }
      else
        store:delete(key)
        naive[key] = nil
      end
    end
  end)

  it("is each connector's own", function()
    local one, calls_of_one = counting {}
    local other, calls_of_other = counting {}
    create(one, "c")
    create(other, "c")
    assert.are.same({ 1, 1 }, { calls_of_one.count, calls_of_other.count })
    assert.are.equal("post 1", cjson.decode(create(one, "c")).id)
  end)
end)
