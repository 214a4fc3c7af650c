-- The arguments of `sendapi.client` and of its methods: what is wrong raises where it is written.
local encoding = require "spec.support.encoding"
local errors = require "sendapi.error"
local raising = require "spec.support.raising"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"

local SOURCE = "8da592bc6fcf8bae41b2"
local TOKEN = send_api.token

local message = encoding.message

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

local getenv = os.getenv

--- No variable of the environment names a server or a certificate.
local function without_environment()
  os.getenv = function() end
end

local function with_environment()
  os.getenv = getenv
end

describe("sendapi.client refuses", function()
  setup(without_environment)
  teardown(with_environment)

  local function no_source(got)
    return "sendapi.client: source_id: expected a string that is not empty, got " .. got
  end

  local no_token =
    "sendapi.client: token: expected the source's access token, a string that is not empty"

  assert_raise {
    {
      "no argument",
      no_source "a nil",
      function()
        sendapi.client()
      end,
    },
    {
      "a number for a source",
      no_source "a number",
      function()
        sendapi.client(42, TOKEN, { domain = "acme" })
      end,
    },
    {
      "an empty source",
      no_source "an empty one",
      function()
        sendapi.client("", TOKEN, { domain = "acme" })
      end,
    },
    {
      "a colon before it",
      no_source "a table",
      function()
        sendapi:client(SOURCE, TOKEN, { domain = "acme" })
      end,
    },
    {
      "no token",
      no_token,
      function()
        sendapi.client(SOURCE)
      end,
    },
    {
      "an empty token",
      no_token,
      function()
        sendapi.client(SOURCE, "", { domain = "acme" })
      end,
    },
    {
      "a token in a table",
      no_token,
      function()
        sendapi.client(SOURCE, { TOKEN }, { domain = "acme" })
      end,
    },
    {
      "a domain in the place of options",
      "sendapi.client: options: expected a table, got a string",
      function()
        sendapi.client(SOURCE, TOKEN, "acme")
      end,
    },
    {
      "no server",
      "sendapi.client: no server: give the option domain or base_url, "
        .. "or set SENDAPI_DOMAIN or SENDAPI_BASE_URL",
      function()
        sendapi.client(SOURCE, TOKEN)
      end,
    },
    {
      "a misspelt option",
      "sendapi.client: unknown option 'domian', did you mean 'domain'?",
      function()
        sendapi.client(SOURCE, TOKEN, { domian = "acme" })
      end,
    },
    {
      "an option of another type",
      "sendapi.client: option 'timeout': expected a number, got a string",
      function()
        sendapi.client(SOURCE, TOKEN, { domain = "acme", timeout = "30" })
      end,
    },
    {
      "an option out of its range",
      "sendapi.client: option 'connections': must be at least 1",
      function()
        sendapi.client(SOURCE, TOKEN, { domain = "acme", connections = 0 })
      end,
    },
    {
      "a domain that is a url",
      "sendapi.client: option 'domain': "
        .. "expected a name, or a whole host such as acme.example.com",
      function()
        sendapi.client(SOURCE, TOKEN, { domain = "https://acme" })
      end,
    },
    {
      "a base that is no url",
      "sendapi.client: option 'base_url': "
        .. "expected something like https://acme.engagement.dimelo.com",
      function()
        sendapi.client(SOURCE, TOKEN, { base_url = "acme" })
      end,
    },
    {
      "http to another machine",
      "sendapi.client: option 'base_url': http is for this machine only; use https, "
        .. "or insecure_http",
      function()
        sendapi.client(SOURCE, TOKEN, { base_url = "http://acme.example" })
      end,
    },
    {
      "a file of authorities that is missing",
      "sendapi.client: option 'ca_file': /nonexistent/ca.pem: No such file or directory",
      function()
        sendapi.client(SOURCE, TOKEN, { domain = "acme", ca_file = "/nonexistent/ca.pem" })
      end,
    },
  }

  it("a directory for a file of authorities", function()
    local text = raising.text(function()
      sendapi.client(SOURCE, TOKEN, { domain = "acme", ca_file = "/tmp" })
    end)
    assert.is_truthy(text:find("sendapi.client: option 'ca_file': /tmp", 1, true), text)
  end)

  it("whatever the environment names that cannot be", function()
    local variables = {
      SENDAPI_BASE_URL = "http://acme.example",
      SSL_CERT_FILE = "/nonexistent/ca.pem",
    }
    os.getenv = function(name)
      return variables[name]
    end
    finally(without_environment)
    local function make()
      sendapi.client(SOURCE, TOKEN)
    end
    assert.is_truthy(raising.text(make):find("/nonexistent/ca.pem", 1, true))
    variables.SSL_CERT_FILE = nil
    assert.is_truthy(raising.text(make):find("http is for this machine only", 1, true))
  end)
end)

describe("a client", function()
  local client

  setup(without_environment)
  teardown(with_environment)

  -- Nothing may listen on port 1; these tests do not go so far.
  before_each(function()
    client = sendapi.client(SOURCE, TOKEN, { base_url = "http://127.0.0.1:1" })
  end)

  after_each(function()
    client:close()
  end)

  it("shows its source and not its token", function()
    assert.are.equal("sendapi.Client: " .. SOURCE, tostring(client))
    local seen = {}
    local function search(value)
      assert.is_nil(tostring(value):find(TOKEN, 1, true))
      if type(value) == "table" and not seen[value] then
        seen[value] = true
        for key, item in next, value do
          search(key)
          search(item)
        end
        search(getmetatable(value))
      end
    end
    search(client)
  end)

  it("has every action as a method, named as the API names it", function()
    local methods = {
      client.messages.create,
      client.private_messages.create,
      client.threads.create,
      client.users.create,
      client.status.mark_as_read,
      client.typing.start,
      client.typing.stop,
    }
    assert.are.equal(7, #methods)
    for _, method in ipairs(methods) do
      assert.is_function(method)
    end
  end)

  describe("raises where it is called", function()
    assert_raise {
      {
        "with a resource that there is not",
        "a client has no 'mesages', did you mean 'messages'?",
        function()
          client.mesages:create {}
        end,
      },
      {
        "with a resource that is like none",
        "a client has no 'x'",
        function()
          client.x:create {}
        end,
      },
      {
        "with a resource that is a number",
        "a client has no '1'",
        function()
          client[1]:create {}
        end,
      },
      {
        "with an operation that there is not",
        "client.messages has no 'creat', did you mean 'create'?",
        function()
          client.messages:creat {}
        end,
      },
      {
        "with an operation of another resource",
        "client.typing has no 'create'",
        function()
          client.typing:create {}
        end,
      },
      {
        "with a dot in the place of the colon",
        "call it with a colon: client.messages:create{...}",
        function()
          client.messages.create(message())
        end,
      },
      {
        "with another resource before the dot",
        "call it with a colon: client.status:mark_as_read{...}",
        function()
          client.status.mark_as_read(client.messages, {})
        end,
      },
      {
        "to send an action that there is not",
        "there is no action 'message.create', did you mean 'messages.create'?",
        function()
          client:send("message.create", {})
        end,
      },
      {
        "to send no action",
        "there is no action 'nil'",
        function()
          client:send()
        end,
      },
      {
        "to check an action that there is not",
        "there is no action 'users.creat', did you mean 'users.create'?",
        function()
          client:validate("users.creat", {})
        end,
      },
    }

    for _, name in ipairs { "close", "send", "validate" } do
      it("with a dot in the place of the colon: " .. name, function()
        for _, first in ipairs { "users.create", {}, 5 } do
          local text = raising.text(function()
            client[name](first, {})
          end)
          assert.is_truthy(text:find("call it with a colon: client:" .. name, 1, true), text)
        end
        local text = raising.text(function()
          client[name]()
        end)
        assert.is_truthy(text:find("call it with a colon: client:" .. name, 1, true), text)
      end)
    end

    it("with a hostile name, which is shown in printable ASCII and cut short", function()
      for _, name in ipairs { "messages.create\27[31m\n\255", ("x"):rep(1000000) } do
        for _, call in ipairs {
          function()
            client:send(name, {})
          end,
          function()
            client[name]:create {}
          end,
          function()
            client.messages[name](client.messages, {})
          end,
        } do
          local text = raising.text(call)
          assert.is_truthy(text:find "^[ -~]*$", "it holds other characters")
          assert.is_true(#text < 300, "it is too long")
        end
      end
    end)
  end)

  it("refuses wrong params without a server", function()
    for _, call in ipairs {
      function()
        return client.messages:create(message { thread_id = encoding.NONE })
      end,
      function()
        return client:send("messages.create", message { thread_id = encoding.NONE })
      end,
    } do
      local ok, err = call()
      assert.is_nil(ok)
      assert.is_true(errors.is(err))
      assert.are.equal("invalid_params", err.code)
      assert.are.equal("params.thread_id", err.field)
      assert.are.equal("params.thread_id: is missing", err.message)
      assert.are.equal("messages.create", err.action)
      assert.are.equal("local", err.class)
      assert.are.equal(0, err.attempts)
      assert.is_false(err.retryable)
      assert.is_nil(err.status)
      assert.are.equal("invalid_params: params.thread_id: is missing", tostring(err))
      assert.are.equal("(invalid_params: params.thread_id: is missing)", "(" .. err .. ")")
    end
  end)

  it("refuses params that are no table without a server", function()
    local ok, err = client.users:create()
    assert.is_nil(ok)
    assert.are.equal("params: expected a table, got nil", err.message)
    ok, err = client.users:create "x"
    assert.is_nil(ok)
    assert.are.equal("params: expected a table, got string", err.message)
  end)

  it("refuses what is too large without a server", function()
    local ok, err = client.messages:create(message { body = ("b"):rep(20971520) })
    assert.is_nil(ok)
    assert.are.equal("request_too_large", err.code)
    assert.are.equal(0, err.attempts)
  end)

  it("checks by its own options", function()
    local params = message { thread_id = encoding.NONE, x = 1 }
    assert.is_nil((client:validate("messages.create", params)))
    local relaxed = sendapi.client(SOURCE, TOKEN, {
      base_url = "http://127.0.0.1:1",
      source_options = { "messages.unthreaded" },
      extra_fields = true,
    })
    local valid, problems = relaxed:validate("messages.create", params)
    assert.are.same({}, problems)
    assert.is_true(valid)
    relaxed:close()
  end)

  it("may be closed twice, and is closed then", function()
    assert.is_true(client:close())
    assert.is_true(client:close())
    for _, params in ipairs { message(), {}, "x" } do
      local ok, err = client.messages:create(params)
      assert.is_nil(ok)
      assert.are.equal("closed", err.code)
      assert.are.equal("local", err.class)
      assert.are.equal("messages.create", err.action)
      assert.are.equal(0, err.attempts)
      assert.are.equal("closed", select(2, client:send("typing.stop", params)).code)
    end
    assert.is_truthy(tostring(client):find(SOURCE, 1, true))
  end)

  it("does not close another", function()
    local other = sendapi.client(SOURCE, TOKEN, { base_url = "http://127.0.0.1:1" })
    client:close()
    local _, err = other.messages:create {}
    assert.are.equal("invalid_params", err.code)
    other:close()
  end)

  if _VERSION >= "Lua 5.4" then
    it("closes at the end of its scope", function()
      local chunk = assert(load [[
        local client = ...
        local scoped <close> = client
      ]])
      chunk(client)
      assert.are.equal("closed", select(2, client.users:create {}).code)
    end)
  end

  it("is collected once it is forgotten", function()
    local forgotten = setmetatable({}, { __mode = "v" })
    forgotten[1] = sendapi.client(SOURCE, TOKEN, { base_url = "http://127.0.0.1:1" })
    collectgarbage()
    collectgarbage()
    assert.is_nil(forgotten[1])
  end)
end)
