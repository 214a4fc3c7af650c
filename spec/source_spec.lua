-- `sendapi.source`: both directions made from what is said once.
local cjson = require "cjson"
local host = require "sendapi.sandbox.host"
local raising = require "spec.support.raising"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"
local support = require "spec.support.connector"

local TOKEN = send_api.token

--- What is given, with changes: a field `false` is left out.
local function given(changes)
  local options = { id = "8da592bc6fcf8bae41b2", token = TOKEN, domain = "acme" }
  for name, value in pairs(changes or {}) do
    options[name] = value or nil
  end
  return options
end

local function unthreaded()
  local message = support.message "1"
  message.thread_id = nil
  return message
end

describe("a source", function()
  local client

  after_each(function()
    if client then
      client:close()
      client = nil
    end
  end)

  it("relaxes the schema for its client and its connector alike", function()
    local function valid_and_answer(options)
      local source = sendapi.source(given { options = options, log = function() end })
      client = source:client()
      local connector = source:connector {
        messages = {
          list = function()
            return { unthreaded() }
          end,
        },
      }
      local body = support.body "messages.list"
      local _, answer = connector:handle(body, sendapi.sign(TOKEN, body))
      local valid = client:validate("messages.create", unthreaded())
      client:close()
      return valid, cjson.decode(answer)
    end
    local valid, answer = valid_and_answer { "messages.unthreaded" }
    assert.is_true(valid)
    assert.are.equal("1", answer[1].id)
    valid, answer = valid_and_answer(nil)
    assert.is_nil(valid)
    assert.is_table(answer.error)
  end)

  it("lets its connector declare its options", function()
    local source = sendapi.source(given { options = { "view.messaging", "messages.text" } })
    local connector = source:connector { messages = {} }
    local body = support.body "implementation.info"
    local _, answer = connector:handle(body, sendapi.sign(TOKEN, body))
    assert.are.same({ "view.messaging", "messages.text" }, cjson.decode(answer).options)
  end)

  it("shares extra_fields, unless the definition says otherwise", function()
    local function is_let_through(definition_says)
      local source = sendapi.source(given { extra_fields = true, log = function() end })
      local connector = source:connector {
        extra_fields = definition_says,
        messages = {
          show = function()
            local message = support.message "1"
            message.colour = "red"
            return message
          end,
        },
      }
      client = source:client()
      local message = support.message "1"
      message.colour = "red"
      assert.is_true(client:validate("messages.create", message))
      local body = support.body("messages.show", { id = "1" })
      local _, answer = connector:handle(body, sendapi.sign(TOKEN, body))
      return cjson.decode(answer).colour == "red"
    end
    assert.is_true(is_let_through(nil))
    client:close()
    assert.is_false(is_let_through(false))
  end)

  it("shares the log", function()
    local lines = {}
    local source = sendapi.source(given {
      log = function(level, message)
        lines[#lines + 1] = level .. ": " .. message
      end,
    })
    source:connector({}):handle("{}", "wrong")
    assert.are.equal(1, #lines)
    assert.is_truthy(lines[1]:find "^warn: connector: 403 ")
  end)

  it("needs no server for a connector alone", function()
    local source = sendapi.source { id = "8da592bc6fcf8bae41b2", token = TOKEN }
    assert.is_table(source:connector {})
  end)

  it("accepts both tokens of a rotation", function()
    local source = sendapi.source(given { token = { "new", "old" } })
    local connector = source:connector {}
    for _, token in ipairs { "new", "old" } do
      assert.are.equal(200, (support.send(connector, support.body "implementation.info", token)))
    end
  end)

  it("signs with the first of them", function()
    local sandbox = assert(host.start { sources = { plain = { token = "new" } } })
    local function code_of(tokens)
      local source = sendapi.source { id = "plain", token = tokens, base_url = sandbox.http }
      client = source:client { retry = false }
      local ok, err = client.messages:create(support.message "1")
      client:close()
      return ok and "delivered" or err.code
    end
    local codes = { code_of { "new", "old" }, code_of "new", code_of { "old", "new" } }
    sandbox:stop()
    assert.are.same({ "delivered", "delivered", "invalid_signature" }, codes)
  end)

  it("is not changed by what happens later to what it was made of", function()
    local tokens, options = { "new", "old" }, { "messages.unthreaded" }
    local source = sendapi.source(given { token = tokens, options = options })
    tokens[1], options[1] = "changed", "messages.text"
    local connector = source:connector { messages = {} }
    local _, answer = support.send(connector, support.body "implementation.info", "new")
    assert.are.same({ "messages.unthreaded" }, cjson.decode(answer).options)
    client = source:client()
    assert.is_true(client:validate("messages.create", unthreaded()))
  end)

  it("gives its client what it was given, and what is given then goes before", function()
    local source = sendapi.source(given { extra_fields = true })
    client = source:client { extra_fields = false, base_url = "http://127.0.0.1:1" }
    local message = support.message "1"
    message.colour = "red"
    assert.is_nil(client:validate("messages.create", message))
    local ok, err = client.messages:create(support.message "1", { deadline = 1 })
    assert.is_nil(ok)
    assert.are.equal("connection_refused", err.code)
  end)

  it("shows its id and no token", function()
    local source = sendapi.source(given())
    assert.are.equal("sendapi.Source: 8da592bc6fcf8bae41b2", tostring(source))
    assert.is_nil(next(source))
  end)
end)

describe("the README's connector", function()
  it("works as it stands there", function()
    local file = assert(io.open("README.md", "rb"))
    local text = file:read "*a"
    file:close()
    local block = text:match "\n## The other direction\n.-\n```lua\n(.-)\n```"
    local body = support.body "messages.list"
    local begin = "local sendapi, access_token, posts, body, signature_header = ...\n"
    local finish = "\nclient:close() return status, answer, headers"
    local chunk = assert((loadstring or load)(begin .. block .. finish))
    local posts = { support.message "1", support.message "2" }
    local status, answer, headers =
      chunk(sendapi, TOKEN, posts, body, sendapi.sign(TOKEN, body))
    assert.are.equal(200, status)
    assert.are.equal("2", cjson.decode(answer)[1].id)
    assert.is_true(sendapi.verify(TOKEN, answer, headers[support.SIGNATURE]))
  end)
end)

--- Checks misuses: each a name, the text that is raised where it happens, and the call.
local function assert_raise(misuses)
  for _, misuse in ipairs(misuses) do
    it(misuse[1], function()
      local text = raising.text(misuse[3])
      assert.are.equal(misuse[2], text)
      assert.is_nil(text:find(TOKEN, 1, true))
    end)
  end
end

local function making(changes)
  return function()
    sendapi.source(given(changes))
  end
end

describe("sendapi.source refuses", function()
  local id = "sendapi.source: id: expected the source's id, a string that is not empty"
  local token =
    "sendapi.source: token: expected the source's access token, not empty, or a list of two"

  assert_raise {
    {
      "no argument",
      "sendapi.source: expected a table, got a nil",
      function()
        sendapi.source()
      end,
    },
    {
      "the client's arguments",
      "sendapi.source: expected a table, got a string",
      function()
        sendapi.source("8da592bc6fcf8bae41b2", TOKEN)
      end,
    },
    { "no id", id, making { id = false } },
    { "an empty id", id, making { id = "" } },
    { "a number for an id", id, making { id = 42 } },
    { "no token", token, making { token = false } },
    { "three tokens", token, making { token = { "a", "b", "c" } } },
    {
      "options that nobody knows",
      "sendapi.source: options: there is no 'mesages.text', did you mean 'messages.text'?",
      making { options = { "mesages.text" } },
    },
    {
      "options that are no list",
      "sendapi.source: options: expected a list of strings, got a string",
      making { options = "messages.text" },
    },
    {
      "the client's word for them",
      "sendapi.source: option 'source_options': here they are called 'options'",
      making { source_options = {} },
    },
    {
      "an option that the client does not know",
      "sendapi.source: unknown option 'domian', did you mean 'domain'?",
      making { domian = "acme" },
    },
    {
      "an option of the wrong type",
      "sendapi.source: option 'timeout': expected a number, got a string",
      making { timeout = "30" },
    },
  }
end)

describe("a source's methods refuse", function()
  local source = sendapi.source(given { options = { "messages.text" } })

  assert_raise {
    {
      "a dot in the colon's place, for a client",
      "call it with a colon: source:client(...)",
      function()
        source.client()
      end,
    },
    {
      "the same for a connector",
      "call it with a colon: source:connector(...)",
      function()
        source.connector {}
      end,
    },
    {
      "no table for a client",
      "source:client: expected a table, got a string",
      function()
        source:client "acme"
      end,
    },
    {
      "source_options for a client",
      "source:client: 'source_options' is the source's to say, by its 'options'",
      function()
        source:client { source_options = {} }
      end,
    },
    {
      "an unknown option for a client",
      "sendapi.client: unknown option 'token'",
      function()
        source:client { token = TOKEN }
      end,
    },
    {
      "no definition",
      "source:connector: expected a table, got a nil",
      function()
        source:connector()
      end,
    },
    {
      "options in a definition",
      "source:connector: 'options' is the source's to say, by its 'options'",
      function()
        source:connector { messages = {}, options = { "messages.text" } }
      end,
    },
    {
      "a definition that contradicts the options",
      "sendapi.connector: options: 'messages.text' is there, but 'messages' is not defined",
      function()
        source:connector { threads = {} }
      end,
    },
    {
      "a definition that is wrong",
      "sendapi.connector: there is no 'mesages', did you mean 'messages'?",
      function()
        source:connector { mesages = {} }
      end,
    },
  }
end)
