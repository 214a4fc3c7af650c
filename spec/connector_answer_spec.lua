-- What `connector:handle` makes of what a handler returns, or raises.
local cjson = require "cjson"
local sendapi = require "sendapi"
local support = require "spec.support.connector"

local TOKEN = support.TOKEN
local ask, message = support.ask, support.message

local GENERIC =
  '{"error":{"fatal":false,"message":"The connector could not handle the request."}}'

describe("what a handler returns", function()
  --- The answer, as bytes, of an operation that returns these.
  local function answered(operation, definition, ...)
    local results, count = { ... }, select("#", ...)
    definition = definition or {}
    definition.messages = definition.messages or {}
    definition.messages[operation] = function()
      return (table.unpack or unpack)(results, 1, count)
    end
    local connector, log = support.new(definition)
    return ask(connector, "messages." .. operation, { id = "1" }), log
  end

  it("is written by the schema: text, dates, exact integers, arrays and objects", function()
    local object = message(1234567890)
    object.created_at = 1349111920
    object.categories, object.context_data, object.attachments = {}, {}, {}
    object.author.created_at = "10/01/2012"
    object.body = "é \"quoted\" \\ \127"
    assert.are.equal(
      '[{"id":"1234567890","attachments":[],'
        .. '"author":{"id":"1","created_at":"10/01/2012","screenname":"Jane"},'
        .. '"body":"é \\"quoted\\" \\\\ \127","categories":[],"context_data":{},'
        .. '"created_at":"2012-10-01T17:18:40Z","thread_id":"t"}]',
      (answered("list", nil, { object }))
    )
  end)

  it("may be an empty list", function()
    assert.are.equal("[]", (answered("list", nil, {})))
  end)

  it("may be nothing for show", function()
    assert.are.equal("{}", (answered("show", nil)))
    assert.are.equal("{}", (answered("show", nil, nil)))
    assert.are.equal("{}", (answered("show", nil, {})))
    assert.are.equal("{}", (answered("show", nil, false)))
  end)

  it("may be anything for a queuing update", function()
    for _, value in ipairs { true, false, {}, { id = {} }, print, "text" } do
      local connector, log = support.new {
        messaging = {
          queuing_update = function()
            return value
          end,
        },
      }
      assert.are.equal("{}", ask(connector, "messaging.queuing_update", { position = 1 }))
      assert.are.same({}, log)
    end
  end)

  it("needs only an id for create, but what else is there is checked", function()
    assert.are.equal('{"id":"7"}', (answered("create", nil, { id = 7 })))
    local answer, log = answered("create", nil, { body = "Hi" })
    assert.are.equal(GENERIC, answer)
    assert.are.same({ "error: connector: messages.create: answer.id: is missing" }, log)
    answer, log = answered("create", nil, { id = 7, author = { id = "1", screenname = "a" } })
    assert.are.equal(GENERIC, answer)
    assert.are.same(
      { "error: connector: messages.create: answer.author.created_at: is missing" },
      log
    )
    answer, log = answered("create", nil, { id = 7, boddy = "" })
    assert.are.equal(GENERIC, answer)
    assert.are.same({
      "error: connector: messages.create: answer.boddy: unknown field, did you mean 'body'?",
    }, log)
  end)

  it("is checked, and the path of what is wrong goes to the log", function()
    local incomplete = message "2"
    incomplete.author.screenname = nil
    for path, value in pairs {
      ["answer[2].author.screenname: is missing"] = { message "1", incomplete },
      ["answer: expected a sequence, got string"] = "text",
      ["answer: expected a sequence, got number"] = 1,
      ["answer[1]: expected a table, got string"] = { "text" },
      ["answer: expected a sequence, got a table with other keys or with holes"] = message "1",
      ["answer[1].id: is not valid UTF-8"] = { message "\255" },
    } do
      local answer, log = answered("list", nil, value)
      assert.are.equal(GENERIC, answer)
      assert.are.same({ "error: connector: messages.list: " .. path }, log)
      answer = answered("list", { messages = { spam = function() end } }, value)
      assert.are.equal(GENERIC, answer)
    end
    for _, operation in ipairs { "delete", "publish", "unpublish", "spam" } do
      local answer, log = answered(operation, nil, { id = "1" })
      assert.are.equal(GENERIC, answer)
      assert.is_truthy(log[1]:find("answer.author: is missing", 1, true), log[1])
      assert.are.equal("1", cjson.decode((answered(operation, nil, message "1"))).id)
    end
  end)

  it("must be there", function()
    for _, operation in ipairs { "list", "create", "delete", "spam" } do
      for _, values in ipairs { {}, { false } } do
        local answer, log = answered(operation, nil, (table.unpack or unpack)(values))
        assert.are.equal(GENERIC, answer)
        assert.are.same(
          { ("error: connector: messages.%s: its handler returned nothing"):format(operation) },
          log
        )
      end
    end
  end)

  it("is relaxed by the options, as the client's params are", function()
    local unthreaded = message "1"
    unthreaded.thread_id = nil
    assert.are.equal(GENERIC, (answered("list", nil, { unthreaded })))
    local relaxed = { options = { "messages.unthreaded" } }
    assert.are.equal("1", cjson.decode((answered("list", relaxed, { unthreaded })))[1].id)
  end)

  it("may have unknown fields where the definition says so", function()
    local object = message "1"
    object.colour = { 1, {} }
    local answer = answered("show", { extra_fields = true }, object)
    assert.are.same({ 1, {} }, cjson.decode(answer).colour)
    assert.are.equal(GENERIC, (answered("show", { extra_fields = false }, object)))
  end)

  it("may hold lua-cjson's null", function()
    local object = message "1"
    object.ip, object.actions = cjson.null, cjson.null
    local definition = { messages = { spam = function() end } }
    local answer = cjson.decode((answered("show", definition, object)))
    assert.is_nil(answer.ip)
    assert.are.same({ "spam" }, answer.actions)
  end)
end)

describe("an object's actions", function()
  local function handler()
    return message "1"
  end

  it("are those of its kind that are implemented, where it says nothing", function()
    local given = message "1"
    local connector = support.new {
      messages = {
        reply = true,
        delete = handler,
        spam = handler,
        approve = handler,
        show = function()
          return given
        end,
        create = function()
          return { id = "1" }
        end,
        list = function()
          return { given, given }
        end,
      },
    }
    local expected = { "delete", "reply", "approve", "spam" }
    assert.are.same(expected, cjson.decode(ask(connector, "messages.show", { id = 1 })).actions)
    assert.are.same(expected, cjson.decode(ask(connector, "messages.create")).actions)
    local list = cjson.decode(ask(connector, "messages.list"))
    assert.are.same({ expected, expected }, { list[1].actions, list[2].actions })
    assert.are.same(message "1", given)
  end)

  it("are what it says otherwise, none by an empty table", function()
    local connector = support.new {
      threads = {
        delete = handler,
        list = function()
          local none, one = message "1", message "2"
          none.thread_id, one.thread_id = nil, nil
          none.actions, one.actions = {}, { "reply" }
          return { one, none }
        end,
      },
    }
    local answer = ask(connector, "threads.list")
    local list = cjson.decode(answer)
    assert.are.same({ "reply" }, list[1].actions)
    assert.is_truthy(answer:find('"id":"1","actions":[],', 1, true))
  end)

  it("are not spoken of when there are none", function()
    local connector = support.new { messages = { show = handler } }
    assert.is_nil(ask(connector, "messages.show", { id = 1 }):find "actions")
  end)
end)

describe("a resource error", function()
  --- The answer when a handler returns or raises.
  local function failed(handler)
    local connector, log = support.new { messages = { delete = handler } }
    return ask(connector, "messages.delete", { id = "1" }), log
  end

  --- … returns these values.
  local function error_of(...)
    local results, count = { ... }, select("#", ...)
    local answer, log = failed(function()
      return (table.unpack or unpack)(results, 1, count)
    end)
    local untold = "warn: connector: messages.delete: its error has no text that can be sent"
    assert.are.same({ answer:find(GENERIC:match "The[^\"]+", 1, true) and untold or nil }, log)
    return answer
  end

  it("may be tried again when it is a text", function()
    local expected = '{"error":{"fatal":false,"message":"Unable to save message."}}'
    assert.are.equal(expected, error_of(nil, "Unable to save message."))
    assert.are.equal(expected, error_of(false, "Unable to save message."))
  end)

  it("is fatal when it says so", function()
    assert.are.equal(
      '{"error":{"fatal":true,"message":"Gone."}}',
      error_of(nil, { message = "Gone.", fatal = true })
    )
    for _, fatal in ipairs { false, 1, "true" } do
      assert.are.equal(
        '{"error":{"fatal":false,"message":"Gone."}}',
        error_of(nil, { message = "Gone.", fatal = fatal })
      )
    end
  end)

  it("may be a client's error", function()
    local client = sendapi.client("source", TOKEN, { domain = "acme" })
    local ok, err = client.messages:create {}
    assert.is_nil(ok)
    assert.are.equal(
      err.message,
      cjson.decode(error_of(nil, err)).error.message
    )
    client:close()
  end)

  it("has a generic text when its own cannot be sent", function()
    for _, problem in ipairs { "", "\255", 42, true, {}, { message = 42 }, { message = "\255" } } do
      assert.are.equal(GENERIC, error_of(nil, problem))
    end
    local fatal = GENERIC:gsub("false", "true")
    assert.are.equal(fatal, error_of(nil, { fatal = true }))
    assert.are.equal(fatal, error_of(nil, { fatal = true, message = "\255" }))
    local thrower = setmetatable({}, {
      __index = function()
        error "touched"
      end,
    })
    assert.are.equal(GENERIC, error_of(nil, thrower))
  end)

  it("is what a handler makes of itself by raising: only the log learns why", function()
    local function deep()
      error "lost the database"
    end
    local answer, log = failed(function()
      deep()
      return true
    end)
    assert.are.equal(GENERIC, answer)
    assert.are.equal(1, #log)
    local here = debug.getinfo(1, "S").short_src
    local found = log[1]:find("^error: connector: messages.delete: its handler raised: ")
    local reason = "lost the database\nstack traceback:\n"
    assert.is_truthy(found and log[1]:find(reason, 1, true), log[1])
    local frame = "\n[^\n]*" .. here:gsub("%p", "%%%0") .. ":%d+: in "
    assert.is_truthy(log[1]:find(frame), log[1])
  end)

  it("comes of raising anything", function()
    local unprintable = setmetatable({}, {
      __tostring = function()
        error "unprintable"
      end,
    })
    for _, raised in ipairs { {}, unprintable, 42, true, print } do
      local answer, log = failed(function()
        error(raised)
      end)
      assert.are.equal(GENERIC, answer)
      assert.are.equal(1, #log)
    end
    assert.are.equal(
      GENERIC,
      (failed(function()
        error()
      end))
    )
  end)

  it("comes of a handler that calls itself forever", function()
    local function forever()
      return 1 + forever()
    end
    assert.are.equal(GENERIC, (failed(forever)))
  end)
end)
