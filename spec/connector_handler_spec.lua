-- `connector:handle`: what it says to the log, and what handlers get.
local cjson = require "cjson"
local sendapi = require "sendapi"
local support = require "spec.support.connector"

local TOKEN = support.TOKEN
local ask, message, send, noting = support.ask, support.message, support.send, support.noting

local GENERIC =
  '{"error":{"fatal":false,"message":"The connector could not handle the request."}}'

describe("the log", function()
  local secrets = { "s3cret-token", "private words" }

  --- Every line and answer of requests that go wrong in all ways.
  local function everything(level_of)
    local shown = {}
    local connector
    local function noted(level, text)
      shown[#shown + 1] = text
      level_of[level] = true
    end
    connector = support.new({
      log = noted,
      messages = {
        list = function()
          return { { id = "1" } }
        end,
        show = function()
          error "lost the database"
        end,
        create = function()
          return "nothing useful"
        end,
      },
      store = {
        get = function()
          error "no connection"
        end,
        set = function()
          return nil, "no connection"
        end,
      },
    }, "s3cret-token")
    local text = '"private words"'
    for _, request in ipairs {
      text,
      text .. "x",
      '{"private words":1}',
      '{"action":"private words"}',
      '{"action":"messages.list","params":' .. text .. "}",
      '{"action":"messages.list","params":{"body":' .. text .. "}}",
      '{"action":"messages.show","params":{"id":[' .. text .. "]}}",
      '{"action":"messages.show","params":{"id":' .. text .. "}}",
      '{"action":"messages.create","params":{"content_id":' .. text .. "}}",
    } do
      local signature = sendapi.sign("s3cret-token", request)
      for _, given in ipairs { signature, "private words" } do
        local _, answer, headers = connector:handle(request, given)
        shown[#shown + 1] = answer
        for _, value in pairs(headers) do
          shown[#shown + 1] = value
        end
        shown[#shown + 1] = tostring(connector)
      end
    end
    return table.concat(shown, "\n")
  end

  it("and the answers quote neither a token nor a body", function()
    local levels = {}
    local shown = everything(levels)
    for _, secret in ipairs(secrets) do
      assert.is_nil(shown:find(secret, 1, true), shown)
    end
    assert.are.same({ warn = true, error = true }, levels)
    assert.is_truthy(shown:find("messages.show: its handler raised: ", 1, true))
    assert.is_truthy(shown:find("lost the database\nstack traceback:", 1, true))
    assert.is_truthy(shown:find("the store cannot get: ", 1, true))
  end)

  it("may fail without anybody noticing", function()
    local connector = support.new {
      log = function()
        error "full"
      end,
    }
    assert.are.equal(403, (connector:handle("{}", "x")))
  end)

  it("goes to the error stream unless there is one", function()
    local connector = sendapi.connector(TOKEN, {})
    local lines = {}
    local stderr = io.stderr
    io.stderr = {
      write = function(_, ...)
        lines[#lines + 1] = table.concat { ... }
      end,
    }
    local status = connector:handle "{}"
    io.stderr = stderr
    assert.are.equal(403, status)
    assert.are.same({
      "sendapi: warn: connector: 403 Invalid signature: "
        .. "neither the header nor the query has a signature\n",
    }, lines)
  end)
end)

describe("a handler", function()
  it("gets the params and the request", function()
    local connector, calls = noting()
    ask(connector, "messages.spam", { id = "7", user_id = "8" })
    local call = calls[1]
    assert.are.equal("spam", call.name)
    assert.are.equal(call.params, call.request.params)
    assert.are.same({
      action = "messages.spam",
      object = "messages",
      operation = "spam",
      time = "2012-10-01T17:18:40Z",
      params = { id = "7", user_id = "8" },
    }, call.request)
  end)

  it("gets empty params when there are none, and no time that is no text", function()
    local connector, calls = noting { list = {} }
    for i, tail in ipairs { "", ',"params":null', ',"params":{}', ',"time":null', ',"time":7' } do
      send(connector, '{"action":"messages.list"' .. tail .. "}")
      assert.are.same({}, calls[i].params)
      assert.is_nil(calls[i].request.time)
    end
  end)

  it("gets no null at any depth, and sequences without holes", function()
    local connector, calls = noting()
    ask(
      connector,
      "messages.create",
      '{"title":null,"a":{"b":null,"c":[null,1,null,{"d":null}]},"attachments":[null],'
        .. '"retry":false}'
    )
    assert.are.same({
      a = { c = { 1, {} } },
      attachments = {},
      retry = false,
    }, calls[1].params)
  end)

  it("gets every boolean of a sequence", function()
    local connector, calls = noting()
    ask(connector, "messages.create", '{"a":[true,false,null,[false],1]}')
    assert.are.same({ true, false, { false }, 1 }, calls[1].params.a)
  end)

  it("gets no whole number that may be another one", function()
    local connector, calls = noting()
    ask(connector, "messages.create", '{"a":9007199254740993,"b":9007199254740991,"c":-1e18}')
    local params = calls[1].params
    assert.are.equal(9007199254740991, params.b)
    for _, number in ipairs { params.a, params.c } do
      assert.is_truthy(tostring(number):find "e%+")
    end
  end)

  it("gets whole numbers that print as such in every Lua", function()
    local connector, calls = noting()
    ask(connector, "messages.show", '{"id":42,"position":3.0,"share":0.5,"list":[1]}')
    local params = calls[1].params
    assert.are.equal("42 3 0.5 1", table.concat({
      tostring(params.id),
      tostring(params.position),
      tostring(params.share),
      tostring(params.list[1]),
    }, " "))
  end)

  it("may be a method of nothing: it gets two arguments", function()
    local count
    local connector = support.new {
      threads = {
        list = function(...)
          count = select("#", ...)
          return {}
        end,
      },
    }
    ask(connector, "threads.list")
    assert.are.equal(2, count)
  end)
end)

describe("many requests at once", function()
  local can_yield = coroutine.wrap(function()
    return (pcall(coroutine.yield, true))
  end)()

  it("get each its own answer, whatever the order in which handlers go on", function()
    if can_yield ~= true then
      return pending "Lua 5.1 cannot yield across a protected call"
    end
    local count, most, under_way = 1000, 0, 0
    local function waiting(params)
      under_way = under_way + 1
      most = math.max(most, under_way)
      for _ = 1, params.rounds do
        coroutine.yield()
      end
      under_way = under_way - 1
      if params.id % 7 == 0 then
        error("failed " .. params.id)
      end
      return message(params.id)
    end
    local connector, log = support.new {
      messages = { show = waiting, create = waiting },
    }
    local tasks, answers = {}, {}
    for i = 1, count do
      local operation = i % 2 == 0 and "create" or "show"
      local params = { id = i, rounds = i * 31 % 10, content_id = "c" .. i }
      tasks[i] = coroutine.create(function()
        answers[i] = ask(connector, "messages." .. operation, params)
      end)
    end
    local left = count
    while left > 0 do
      for i = 1, count do
        local task = tasks[i * 7919 % count + 1]
        if coroutine.status(task) == "suspended" then
          assert(coroutine.resume(task))
          left = left - (coroutine.status(task) == "dead" and 1 or 0)
        end
      end
    end
    for i = 1, count do
      if i % 7 == 0 then
        assert.are.equal(GENERIC, answers[i])
      else
        assert.are.equal(tostring(i), cjson.decode(answers[i]).id)
      end
    end
    assert.are.equal(math.floor(count / 7), #log)
    assert.is_true(most > 500, most)
  end)
end)
