-- What a definition may say: each mistake raises where it is made, with its sentence; and what
-- `implementation.info` declares of it.
local raising = require "spec.support.raising"
local sendapi = require "sendapi"
local support = require "spec.support.connector"

local TOKEN = support.TOKEN

local function handler() end

--- What defining raises, at a line of this function.
local function refusal(definition, token)
  return raising.text(function()
    sendapi.connector(token or TOKEN, definition)
  end)
end

local function assert_refused(text, definition)
  assert.are.equal("sendapi.connector: " .. text, refusal(definition))
end

describe("a token", function()
  local expected =
    "sendapi.connector: token: expected the source's access token, not empty, or a list of two"

  for name, token in pairs {
    ["that is a number"] = 42,
    ["that is empty"] = "",
    ["in an empty list"] = {},
    ["empty in a list"] = { "a", "" },
    ["as a number in a list"] = { "a", 1 },
    ["under a name"] = { token = "a" },
    ["beside a hole"] = { [2] = "a" },
    ["as one of three"] = { "a", "b", "c" },
  } do
    it(name .. " is refused", function()
      assert.are.equal(expected, refusal({}, token))
    end)
  end

  it("must be there", function()
    assert.are.equal(
      expected,
      raising.text(function()
        sendapi.connector()
      end)
    )
  end)

  it("is in no text of a connector, and in nothing that is reachable from it", function()
    local connector = sendapi.connector(TOKEN, { messages = { list = handler } })
    assert.is_nil(tostring(connector):find(TOKEN, 1, true))
    for name, value in pairs(connector) do
      error(("%s = %s"):format(name, tostring(value)))
    end
  end)
end)

describe("a definition is refused", function()
  it("when it is none", function()
    assert_refused("definition: expected a table, got a nil", nil)
    assert_refused("definition: expected a table, got a function", handler)
  end)

  it("with a name that nobody knows", function()
    assert_refused("there is no 'mesages', did you mean 'messages'?", { mesages = {} })
    assert_refused("there is no '1'", { {} })
    assert_refused("there is no 'colour'", { colour = 1 })
  end)

  it("with objects of the wrong type", function()
    assert_refused("messages: expected a table of functions, got a boolean", { messages = true })
    assert_refused("threads: expected a table of functions, got a function", { threads = handler })
    assert_refused("messaging: expected a table of functions, got a number", { messaging = 1 })
  end)

  it("with operations of the wrong type", function()
    assert_refused(
      "messages.list: expected a function, got a table",
      { messages = { list = {} } }
    )
    assert_refused(
      "private_messages.spam: expected a function, got a boolean",
      { private_messages = { spam = true } }
    )
    assert_refused(
      "messages.reply: expected true, it is only declared, got a function",
      { messages = { reply = handler } }
    )
  end)

  it("with names that no action can have", function()
    local tail = ": expected letters, digits and '_'"
    for shown, name in pairs { ["a b"] = "a b", ["a.b"] = "a.b", ["a?"] = "a\0", [""] = "" } do
      assert_refused(
        ("threads: '%s' cannot be the name of an operation%s"):format(shown, tail),
        { threads = { [name] = handler } }
      )
    end
    assert_refused(
      "messages: '1' cannot be the name of an operation" .. tail,
      { messages = { handler } }
    )
  end)

  it("with something else than a queuing update in messaging", function()
    assert_refused(
      "messaging: there is no 'queueing_update', did you mean 'queuing_update'?",
      { messaging = { queueing_update = handler } }
    )
    assert_refused(
      "messaging.queuing_update: expected a function, got a boolean",
      { messaging = { queuing_update = true } }
    )
  end)

  it("with operations that the client does not have", function()
    assert_refused(
      "typing: there is no operation 'strat', did you mean 'start'?",
      { typing = { "strat" } }
    )
    assert_refused("status: there is no operation '7'", { status = { 7 } })
    assert_refused("typing: 'stop' is there twice", { typing = { "stop", "start", "stop" } })
    local expected = "users: expected true or a list of operations, got a "
    assert_refused(expected .. "string", { users = "create" })
    assert_refused(expected .. "table", { users = { [3] = "create" } })
  end)

  it("with settings of the wrong type", function()
    assert_refused("log: expected a function, got a string", { log = "stderr" })
    assert_refused("extra_fields: expected a boolean, got a number", { extra_fields = 1 })
    local expected = "options: expected a list of strings"
    assert_refused(expected .. ", got a string", { options = "messages.text" })
    assert_refused(expected .. ", got a number in it", { options = { 1 } })
    assert_refused(expected, { options = { a = "view.messaging" } })
  end)

  it("with a store that is none", function()
    local text = "store: expected something with the methods get and set, or false"
    local strict = setmetatable({}, {
      __index = function()
        error "no such field"
      end,
    })
    local half = { get = handler }
    for _, store in ipairs { true, 1, "redis", {}, half, handler, io.stdout, strict } do
      assert_refused(text, { store = store })
    end
  end)
end)

describe("options are refused", function()
  local messages = { list = handler }

  it("when nobody knows them", function()
    assert_refused(
      "options: there is no 'mesages.text', did you mean 'messages.text'?",
      { messages = messages, options = { "mesages.text" } }
    )
    assert_refused("options: there is no ''", { options = { "" } })
  end)

  it("when one is there twice", function()
    assert_refused(
      "options: 'messages.text' is there twice",
      { messages = messages, options = { "messages.text", "messages.text" } }
    )
  end)

  it("of an object that is not defined", function()
    for _, option in ipairs {
      "messages.unthreaded",
      "messages.no_title",
      "messages.text",
      "messages.html",
      "messages.allow_survey",
      "messages.attachments",
      "private_messages.no_title",
      "private_messages.text",
      "private_messages.html",
      "private_messages.attachments",
      "threads.no_content",
      "threads.text",
      "threads.html",
      "threads.attachments",
    } do
      local object = option:match "^[^.]+"
      assert_refused(
        ("options: '%s' is there, but '%s' is not defined"):format(option, object),
        { options = { option } }
      )
      assert.is_table(sendapi.connector(TOKEN, { [object] = {}, options = { option } }))
    end
  end)

  it("that exclude each other", function()
    for _, object in ipairs { "messages", "private_messages", "threads" } do
      assert_refused(
        ("options: '%s.text' and '%s.html' exclude each other"):format(object, object),
        { [object] = {}, options = { object .. ".html", object .. ".text" } }
      )
      assert_refused(
        ("options: '%s.html' and 'view.messaging' exclude each other"):format(object),
        { [object] = {}, options = { "view.messaging", object .. ".html" } }
      )
    end
  end)

  it("that need others", function()
    assert_refused(
      "options: 'messaging.typing_indicator' needs 'view.messaging'",
      { messages = messages, options = { "messaging.typing_indicator" } }
    )
    assert_refused(
      "options: 'messaging.queuing_update' is there, but messaging.queuing_update is not defined",
      { messages = messages, options = { "messaging.queuing_update" } }
    )
  end)

  it("when view.messaging is for two", function()
    assert_refused(
      "options: 'view.messaging' is for one of messages and private_messages, not for both",
      { messages = {}, private_messages = {}, options = { "view.messaging" } }
    )
  end)
end)

describe("locales are refused", function()
  it("of the wrong type", function()
    assert_refused("locales: expected a table of languages, got a string", { locales = "fr" })
    assert_refused("locales: expected languages as keys, got a number", { locales = { {} } })
    assert_refused(
      "locales.fr: expected a table of texts, got a string",
      { locales = { fr = "Indésirable" } }
    )
  end)

  it("for what is not implemented", function()
    assert_refused(
      "locales.fr: 'spam' is not implemented by any object",
      { messages = { spma = handler }, locales = { fr = { spam = "Indésirable" } } }
    )
    assert_refused(
      "locales.fr: '1' is not implemented by any object",
      { messages = {}, locales = { fr = { "Indésirable" } } }
    )
  end)

  it("without a text", function()
    for _, text in ipairs { "", 1, false } do
      assert_refused(
        "locales.default.spam: expected a text that is not empty",
        { threads = { spam = handler }, locales = { default = { spam = text } } }
      )
    end
  end)

  it("that are not UTF-8", function()
    assert_refused(
      "definition.locales.fr.spam: is not valid UTF-8",
      { threads = { spam = handler }, locales = { fr = { spam = "Ind\233sirable" } } }
    )
  end)
end)

describe("implementation.info", function()
  local function info(definition)
    return support.ask(support.new(definition), "implementation.info")
  end

  it("has empty objects and arrays as such", function()
    assert.are.equal('{"objects":{},"options":[],"locales":{}}', info {})
    assert.are.equal(
      '{"objects":{"messages":[],"status":[]},"options":[],"locales":{"fr":{}}}',
      info { messages = {}, status = {}, locales = { fr = {} } }
    )
  end)

  it("declares known operations in a fixed order, custom ones by the alphabet", function()
    assert.are.equal(
      '{"objects":{"messages":["create","show","list","delete","publish","unpublish","reply",'
        .. '"A1","b_c","spam"],"private_messages":["show"],"threads":["list"]},'
        .. '"options":[],"locales":{}}',
      info {
        threads = { list = handler },
        private_messages = { show = handler, reply = false },
        messages = {
          reply = true,
          spam = handler,
          b_c = handler,
          A1 = handler,
          unpublish = handler,
          publish = handler,
          delete = handler,
          list = handler,
          show = handler,
          create = handler,
        },
      }
    )
  end)

  it("declares what the client sends", function()
    assert.are.equal(
      '{"objects":{"status":["mark_as_read"],"typing":["start","stop"],"users":["create"]},'
        .. '"options":[],"locales":{}}',
      info { status = true, typing = true, users = true }
    )
    assert.are.equal(
      '{"objects":{"typing":["stop"]},"options":[],"locales":{}}',
      info { status = false, typing = { "stop" } }
    )
  end)

  it("has the options in their order, and the one that follows from its handler once", function()
    local messaging = { queuing_update = handler }
    assert.are.equal(
      '{"objects":{"messages":[]},"options":["view.messaging","messages.text",'
        .. '"messaging.queuing_update"],"locales":{}}',
      info {
        messages = {},
        messaging = messaging,
        options = { "view.messaging", "messages.text" },
      }
    )
    assert.are.equal(
      '{"objects":{},"options":["messaging.queuing_update"],"locales":{}}',
      info { messaging = messaging, options = { "messaging.queuing_update" } }
    )
  end)

  it("has the locales as they are", function()
    assert.are.equal(
      '{"objects":{"messages":["spam"]},"options":[],'
        .. '"locales":{"default":{"spam":"Mark as \\"spam\\""},"fr":{"spam":"Indésirable"}}}',
      info {
        messages = { spam = handler },
        locales = { fr = { spam = "Indésirable" }, default = { spam = 'Mark as "spam"' } },
      }
    )
  end)

  it("is not changed by what happens to the definition later", function()
    local definition = { messages = { list = handler }, options = { "messages.text" } }
    local connector = support.new(definition)
    local before = support.ask(connector, "implementation.info")
    definition.messages.list, definition.messages.spam = nil, handler
    definition.options[1] = "nonsense"
    assert.are.equal(before, support.ask(connector, "implementation.info"))
    assert.are.equal(
      '{"error":{"fatal":false,"message":"The connector could not handle the request."}}',
      support.ask(connector, "messages.list")
    )
    local status = support.send(connector, support.body("messages.spam", { id = "1" }))
    assert.are.equal(422, status)
  end)
end)
