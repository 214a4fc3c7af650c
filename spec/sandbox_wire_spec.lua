--- The exchanges that are kept, the events, and how both are written.
local cjson = require "cjson"
local encode = require "sendapi.sandbox.encode"
local events = require "sendapi.sandbox.events"
local exchanges = require "sendapi.sandbox.exchanges"

local function exchange(body, more)
  local made = {
    direction = "in",
    at = 5,
    source = "plain",
    url = "/realtime/sdk/plain",
    request = { body = body, bytes = #body },
  }
  for name, value in pairs(more or {}) do
    made[name] = value
  end
  return made
end

describe("the exchanges", function()
  it("are numbered and listed, newest last, without bodies", function()
    local wire = exchanges.new()
    wire:add(exchange("one", { status = 200, answer = { body = "ok", bytes = 2 } }))
    wire:add(exchange("two", { error = "Connection refused" }))
    assert.same({ 1, 2 }, { wire:list()[1].n, wire:list()[2].n })
    assert.same({ bytes = 2 }, wire:list()[1].answer)
    assert.is_nil(wire:list()[2].status)
    assert.equal("Connection refused", wire:list()[2].error)
    assert.equal("one", exchanges.view(wire:get(1), true).request.body)
    assert.is_nil(wire:get(3))
  end)

  it("are the newest ones, in number", function()
    local wire = exchanges.new { limit = 3 }
    for i = 1, 10 do
      wire:add(exchange(tostring(i)))
    end
    assert.equal(3, #wire:list())
    assert.is_nil(wire:get(7))
    assert.equal("8", wire:get(8).request.body)
  end)

  it("are the newest ones, in bytes, the last of them in any case", function()
    local wire = exchanges.new { bytes = 5000 }
    for _ = 1, 10 do
      wire:add(exchange(("x"):rep(1000)))
    end
    assert.equal(2, #wire:list())
    wire:add(exchange(("x"):rep(9000)))
    assert.equal(1, #wire:list())
    wire:change(wire:get(11), { answer = { body = "", bytes = 0 } })
    assert.equal(1, #wire:list())
  end)

  it("have no body any more when they are forgotten, whoever still knows them", function()
    local wire = exchanges.new { limit = 2 }
    local first = wire:add(exchange "first")
    wire:change(first, { answer = { body = "answer", bytes = 6 } })
    local second = wire:add(exchange "second")
    wire:add(exchange "third")
    assert.is_nil(first.request.body or first.answer.body)
    assert.same({ body = "", bytes = 5, partial = true }, exchanges.view(first, true).request)
    wire:change(first, { answer = { body = "late", bytes = 4 } })
    assert.is_nil(first.answer.body)
    wire:clear()
    assert.is_nil(second.request.body)
  end)

  it("count what an answer adds later", function()
    local wire = exchanges.new { bytes = 5000 }
    local first, second = wire:add(exchange "a"), wire:add(exchange "b")
    wire:change(second, { answer = { body = ("x"):rep(4500), bytes = 4500 }, status = 200 })
    assert.is_nil(wire:get(1))
    wire:change(first, { status = 200 }) -- forgotten by now
    assert.equal(200, wire:list()[1].status)
    assert.equal(1024 + 1 + 4500, wire.bytes)
    wire:clear()
    assert.same({ {}, 0 }, { wire:list(), wire.bytes })
    assert.equal(3, wire:add(exchange "c").n)
  end)

  it("keep the beginning of a long body, and say so", function()
    local wire = exchanges.new { body = 4 }
    wire:add(exchange "12345")
    local half = exchanges.view(wire:get(1), true).request
    assert.same({ body = "1234", bytes = 5, partial = true }, half)
  end)

  it("say when a body is not UTF-8", function()
    local wire = exchanges.new()
    wire:add(exchange "a\255b")
    local half = exchanges.view(wire:get(1), true).request
    assert.same({ body = "a\239\191\189b", bytes = 3, partial = true }, half)
  end)

  it("have headers by name", function()
    local wire = exchanges.new()
    local headers = "Host: 127.0.0.1:1\r\nX-Empty:\r\nX-Odd: a: b\255\r\n\r\nno header"
    wire:add(exchange("", { request = { body = "", bytes = 0, headers = headers } }))
    local expected = { Host = "127.0.0.1:1", ["X-Empty"] = "", ["X-Odd"] = "a: b\239\191\189" }
    assert.same(expected, exchanges.view(wire:get(1), true).request.headers)
    assert.is_nil(exchanges.view(wire:get(1)).request.headers)
  end)

  it("are searched from the newest on", function()
    local wire = exchanges.new()
    for _ = 1, 3 do
      wire:add(exchange "")
    end
    assert.equal(3, wire:find(function(one)
      return one.n
    end))
    assert.is_nil(wire:find(function() end))
  end)
end)

describe("the events", function()
  local function data_of(one, other)
    return { one, other }
  end

  it("are numbered, and given after a number", function()
    local list = events.new()
    list:add("a", data_of, 1, 2)
    list:add("b", data_of, 3)
    local found = list:after(1)
    assert.equal(1, #found)
    assert.same({ 2, "b", { 3 } }, { found[1].number, found[1].name, found[1].data() })
    assert.same({}, list:after(2))
  end)

  it("are the newest ones, and a gap shows", function()
    local list = events.new { limit = 3 }
    for i = 1, 10 do
      list:add("a", data_of, i)
    end
    local found = list:after(2)
    assert.same({ 3, 8, 10 }, { #found, found[1].number, found[3].number })
    assert.equal(3, #list:after(99))
  end)

  it("wake whoever waits", function()
    local count = 0
    local list = events.new {
      wake = function()
        count = count + 1
      end,
    }
    list:add("a", data_of)
    assert.equal(1, count)
  end)
end)

describe("JSON of the interface", function()
  it("has empty lists", function()
    local list = encode.list
    local text = encode.json { a = list {}, b = list { 1 }, c = list(nil), d = {} }
    local read = cjson.decode(text)
    assert.same({ {}, { 1 }, {}, {} }, { read.a, read.b, read.c, read.d })
    assert.is_truthy(text:find('"a":[]', 1, true))
    assert.is_truthy(text:find('"d":{}', 1, true))
  end)

  it("is UTF-8 whatever strangers sent", function()
    local cases = {
      ["\255"] = "\239\191\189",
      ["\195"] = "\239\191\189",
      ["a\195\169b\195"] = "a\195\169b\239\191\189",
      ["\192\175"] = "\239\191\189\239\191\189",
      ["\237\160\128"] = ("\239\191\189"):rep(3),
      ["\244\144\128\128"] = ("\239\191\189"):rep(4),
      ["\240\159\152\128"] = "\240\159\152\128",
      ["\240\159\152"] = ("\239\191\189"):rep(3),
      ["\224\128\128"] = ("\239\191\189"):rep(3),
    }
    for given, expected in pairs(cases) do
      assert.equal(cjson.encode { expected }, encode.json { given })
      assert.equal(given == expected, select(2, encode.utf8(given)))
    end
  end)

  it("has excerpts in whole characters", function()
    assert.equal("a", encode.excerpt("a\195\169", 2))
    assert.equal("a\195\169", encode.excerpt("a\195\169", 3))
    assert.equal("", encode.excerpt("\240\159\152\128", 3))
  end)
end)
