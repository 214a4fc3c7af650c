-- Tables made to do harm: metamethods, finalizers, names and values out of all bounds.
local core = require "sendapi.core"
local encoding = require "spec.support.encoding"
local sendapi = require "sendapi"
local shell = require "spec.support.shell"

local bytes, message = encoding.bytes, encoding.message
local extra_fields = { extra_fields = true }
local slow = os.getenv "SENDAPI_SLOW"

local METAMETHODS = {
  "__index",
  "__newindex",
  "__len",
  "__pairs",
  "__ipairs",
  "__tostring",
  "__name",
  "__eq",
  "__lt",
  "__le",
  "__concat",
  "__call",
  "__unm",
  "__add",
  "__close",
  "__metatable",
}

describe("no metamethod is called", function()
  local called

  before_each(function()
    called = {}
  end)

  --- The same table, with every metamethod there is; `__gc` alone does not raise, because some
  -- Luas let its errors out wherever it happens to run.
  local function armed(plain)
    local record = called -- of this test, even if it is collected during another
    local metatable = {
      __gc = function()
        record[#record + 1] = "__gc"
      end,
      __mode = "",
    }
    for _, name in ipairs(METAMETHODS) do
      metatable[name] = function()
        record[#record + 1] = name
        error(name .. " was called")
      end
    end
    return setmetatable(plain, metatable)
  end

  local function armed_message()
    return armed(message {
      author = armed(encoding.agent { context_data = armed { a = armed { "x", "y" } } }),
      actions = armed { "show" },
      attachments = armed { armed { url = "u" } },
      categories = armed {},
      structured_content = armed {
        type = "select",
        items = armed { armed { title = "t" } },
      },
      structured_reply = armed {},
      y = armed { armed { 1 }, armed { b = armed {} } },
    })
  end

  it("while a message is written", function()
    local params = armed_message()
    assert.are.equal(
      '{"action":"messages.create","params":{"id":"1","actions":["show"],'
        .. '"attachments":[{"url":"u"}],"author":{"id":"3","context_data":{"a":["x","y"]},'
        .. '"created_at":"d","puppetizable":true,"screenname":"s"},"body":"b","categories":[],'
        .. '"structured_content":{"type":"select","items":[{"title":"t"}]},'
        .. '"structured_reply":{},"thread_id":"2","y":[[1],{"b":{}}]}}',
      bytes("messages.create", params, extra_fields)
    )
    assert.are.same({}, called)
  end)

  it("while it is checked", function()
    local params = armed_message()
    local valid, problems = sendapi.validate("messages.create", params, extra_fields)
    assert.is_true(valid, problems[1] and problems[1].message)
    assert.are.same({}, called)
  end)

  it("while it is refused", function()
    local refused = {
      message { body = armed {} },
      message { created_at = armed {} },
      message { author = encoding.user { puppetizable = armed {} } },
      message { context_data = armed { a = armed { b = "c" } } },
      message { context_data = { [armed {}] = "x" } },
      message { categories = { armed {} } },
      message { structured_content = { type = armed {} } },
      message { attachments = armed { "x" } },
      armed { [armed {}] = "x" },
    }
    for _, params in ipairs(refused) do
      assert.is_string(encoding.problem("messages.create", params).message)
      assert.is_nil((sendapi.validate("messages.create", params)))
    end
    assert.are.same({}, called)
  end)

  it("to find fields that the table itself lacks", function()
    local params = setmetatable({}, { __index = message() })
    local found = encoding.problem("messages.create", params)
    assert.are.equal("params.id: is missing", found.message)
    local extended = message { structured_content = setmetatable({ title = "t" }, {
      __index = { type = "template" },
    }) }
    found = encoding.problem("messages.create", extended)
    assert.are.equal("params.structured_content.type", found.field)
  end)
end)

-- Each by itself, since what is collected all the time had better be little.
describe("a finalizer", function()
  local function fare_well(case)
    local words = { "timeout 900", shell.instrument, shell.lua, "spec/hosts/finalizers.lua", case }
    local result = shell.run(table.concat(words, " "))
    assert.equal("", result.errors)
    assert.equal(0, result.status)
    assert.equal(case .. " is done\n", result.output)
  end

  it("may write messages while another is written", function()
    fare_well "write_within"
  end)

  it("may write messages when another is all but finished", function()
    fare_well "write_at_the_end"
  end)

  it("that comes again and again does not keep a message from its end", function()
    fare_well "come_again"
  end)

  it("may close the client whose call is being written", function()
    fare_well "close_client"
  end)

  it("may take away what is being written", function()
    fare_well "take_away"
  end)
end)

local function assert_presentable(problem)
  assert.is_truthy(problem.message:find "^[ -~]+$", problem.message)
  assert.is_truthy(problem.field:find "^[ -~]+$", problem.field)
  assert.is_true(#problem.field < 512)
  assert.is_true(#problem.message < 1100)
end

describe("hostile names and values", function()
  local hostile = {
    ["control characters"] = "a\0b\27[31m\r\n\127",
    ["what is not UTF-8"] = "\255\254\192\128",
    ["other scripts"] = "日本語 é 😀",
    ["a format"] = "%s%s%n%d%99999d",
    ["a name of 100 bytes"] = ("x"):rep(100),
    ["a name of a million bytes"] = ("x"):rep(1000000),
    ["a million control characters"] = ("\1"):rep(1000000),
  }
  for description, text in pairs(hostile) do
    it("are shown in printable ASCII and cut short: " .. description, function()
      local problems = {
        encoding.problem("messages.create", message { [text] = "x" }),
        encoding.problem("messages.create", message { author = encoding.user { [text] = "x" } }),
        encoding.problem("messages.create", message { context_data = { [text] = true } }),
        encoding.problem("messages.create", message { x = { [text] = print } }, extra_fields),
        encoding.problem("messages.create", message { structured_content = { type = text } }),
        encoding.problem("messages.create", message { context_data = { [text] = "\255" } }),
      }
      local _, warnings = sendapi.validate(
        "messages.create",
        message {
          format = text,
          display_url = text,
          context_data = { [text] = "v" },
        }
      )
      assert.is_true(#warnings >= 2)
      for _, list in ipairs { problems, warnings } do
        for _, problem in ipairs(list) do
          assert_presentable(problem)
        end
      end
    end)
  end

  it("are cut after 60 bytes in a path", function()
    local found = encoding.problem("messages.create", message { [("x"):rep(61)] = 1 })
    assert.are.equal("params." .. ("x"):rep(60) .. "...", found.field)
    found = encoding.problem("messages.create", message { [("x"):rep(60)] = 1 })
    assert.are.equal("params." .. ("x"):rep(60), found.field)
  end)

  it("make no path without end", function()
    local value = true
    for _ = 1, 31 do
      value = { [("x"):rep(1000)] = value }
    end
    value = { print, value }
    local found = encoding.problem("messages.create", message { x = { value } }, extra_fields)
    assert_presentable(found)
    local deep = print
    for _ = 1, 31 do
      deep = { [("y"):rep(1000)] = deep }
    end
    found = encoding.problem("messages.create", message { x = deep }, extra_fields)
    assert_presentable(found)
    assert.are.equal(511, #found.field)
  end)

  it("in great number are still checked", function()
    local entries = {}
    for i = 1, slow and 1000 or 100000 do
      entries["\255" .. i] = "x"
    end
    local found = encoding.problem("messages.create", message { context_data = entries })
    assert.are.equal("params.context_data: has a key that is not valid UTF-8", found.message)
  end)
end)

describe("a request of", function()
  local MAXIMUM = 20971520
  local overhead = #bytes("messages.create", message { body = "b" }) - 1

  --- Checks how a body is refused, both ways of asking.
  local function assert_too_large(params)
    local found = encoding.problem("messages.create", params)
    assert.are.equal("request_too_large", found.code)
    assert.are.equal("params", found.field)
    assert.are.equal("params: the request is larger than 20971520 bytes", found.message)
    local valid, problems = sendapi.validate("messages.create", params)
    assert.is_nil(valid)
    assert.are.equal("request_too_large", problems[#problems].code)
    assert.are.equal("error", problems[#problems].severity)
  end

  it("20971520 bytes is written, and valid", function()
    local params = message { body = ("a"):rep(MAXIMUM - overhead) }
    assert.are.equal(MAXIMUM, #bytes("messages.create", params))
    local valid = sendapi.validate("messages.create", params)
    assert.is_true(valid)
  end)

  it("20971521 bytes is refused", function()
    assert_too_large(message { body = ("a"):rep(MAXIMUM - overhead + 1) })
  end)

  it("20971521 bytes is refused when only the escapes make it so", function()
    local body = ("\1"):rep(3495000)
    local rest = MAXIMUM - overhead - 6 * #body
    assert.are.equal(
      MAXIMUM,
      #bytes("messages.create", message { body = body .. ("a"):rep(rest) })
    )
    assert_too_large(message { body = body .. ("a"):rep(rest - 1) .. '"' })
  end)

  it("20971521 bytes is refused wherever the last one stands", function()
    local body = ("a"):rep(MAXIMUM - overhead)
    assert_too_large(message { body = body, id = "11" })
    assert_too_large(message { body = body, thread_id = "22" })
    assert_too_large(message { body = body, categories = {} })
    assert_too_large(message { body = body, updated_at = 0 })
  end)

  it("far more is refused", function()
    assert_too_large(message { body = ("a"):rep(2 * MAXIMUM) })
    local text = ("a"):rep(MAXIMUM / 16)
    local categories = {}
    for i = 1, 10000 do
      categories[i] = text -- one text, ten thousand times
    end
    assert_too_large(message { categories = categories })
  end)

  it("an attached file counts as base64", function()
    local path = os.tmpname()
    local file = assert(io.open(path, "wb"))
    file:write(("a"):rep(15728000))
    file:close()
    local function with_filename(length)
      local options = { filename = ("n"):rep(length) }
      return message { body = "", attachments = { sendapi.file(path, options) } }
    end
    local shortest = #bytes("messages.create", with_filename(1))
    local length = MAXIMUM - shortest + 1
    assert.are.equal(MAXIMUM, #bytes("messages.create", with_filename(length)))
    assert_too_large(with_filename(length + 1))
    file = assert(io.open(path, "r+b"))
    file:seek("set", 10 * MAXIMUM)
    file:write "a"
    file:close()
    assert_too_large(with_filename(1))
    os.remove(path)
  end)

  it("ordinary size is written as ever after one that was refused", function()
    local schema = encoding.schema "messages.create"
    local expected = schema:encode(message())
    assert.is_nil((schema:encode(message { body = ("a"):rep(MAXIMUM) })))
    assert.are.equal(expected, schema:encode(message()))
    assert.is_false((schema:validate(message { body = ("a"):rep(MAXIMUM) })))
    assert.are.equal(expected, schema:encode(message()))
  end)
end)

describe("the core's own functions", function()
  it("take nothing but what they are for", function()
    local schema = encoding.schema "messages.create"
    for _, wrong in ipairs { {}, "schema", 5, io.stdout, core.signer "t", sendapi.file "a" } do
      assert.is_false(pcall(schema.encode, wrong, message()))
      assert.is_false(pcall(schema.validate, wrong, message()))
    end
    assert.is_false(pcall(schema.encode, schema))
    assert.is_false(pcall(core.compile))
    assert.is_false(pcall(core.compile, "message"))
    assert.is_false(pcall(core.sentinels))
  end)

  it("leave no way to a schema's inside", function()
    local schema = encoding.schema "messages.create"
    assert.are.equal("protected", getmetatable(schema))
    assert.are.equal("sendapi.schema", tostring(schema))
  end)
end)
