-- How a request is written: the order of its fields, its texts, numbers, dates and booleans.
local cjson = require "cjson"
local encoding = require "spec.support.encoding"
local shell = require "spec.support.shell"

local bytes, problem = encoding.bytes, encoding.problem
local message, user = encoding.message, encoding.user

--- Checks how a field that stands between `body` and `thread_id` is written.
local function assert_written(expected, name, value)
  assert.are.equal(
    encoding.HEAD .. ',"' .. name .. '":' .. expected .. encoding.TAIL .. encoding.END,
    bytes("messages.create", message { [name] = value })
  )
end

local function assert_refused(expected, name, value)
  local found = problem("messages.create", message { [name] = value })
  assert.are.equal("invalid_params", found.code)
  assert.are.equal("error", found.severity)
  assert.are.equal("params." .. name .. ": " .. expected, found.message)
  assert.are.equal("params." .. name, found.field)
end

describe("a request is written", function()
  local john = { id = "666", created_at = "07/11/2019", screenname = "John Doe" }

  local documented = {
    {
      "the documents' first example",
      "messages.create",
      {
        id = "890",
        actions = { "reply", "show", "list" },
        author = john,
        body = "Awesome post !",
        format = "text",
        thread_id = "42",
      },
      '{"action":"messages.create","params":{"id":"890","actions":["reply","show","list"],'
        .. '"author":{"id":"666","created_at":"07/11/2019","screenname":"John Doe"},'
        .. '"body":"Awesome post !","format":"text","thread_id":"42"}}',
    },
    {
      "the documents' message",
      "messages.create",
      {
        id = "890",
        author = { id = "666", created_at = "06/11/2017", screenname = "John Doe" },
        body = "Awesome post !",
        thread_id = "42",
      },
      '{"action":"messages.create","params":{"id":"890","author":{"id":"666",'
        .. '"created_at":"06/11/2017","screenname":"John Doe"},"body":"Awesome post !",'
        .. '"thread_id":"42"}}',
    },
    {
      "the documents' read mark",
      "status.mark_as_read",
      { id = "890" },
      '{"action":"status.mark_as_read","params":{"id":"890"}}',
    },
    {
      "the documents' start of typing",
      "typing.start",
      { thread_id = "42", in_reply_to_id = "890", preview = "Hello world" },
      '{"action":"typing.start","params":{"thread_id":"42","in_reply_to_id":"890",'
        .. '"preview":"Hello world"}}',
    },
    {
      "the documents' end of typing",
      "typing.stop",
      { thread_id = "42", in_reply_to_id = "890" },
      '{"action":"typing.stop","params":{"thread_id":"42","in_reply_to_id":"890"}}',
    },
    {
      "the documents' complete example",
      "messages.create",
      {
        id = "890",
        author = { id = "42", created_at = "06/11/2017", screenname = "Alice" },
        body = "Nice post!",
        thread_id = "888",
      },
      '{"action":"messages.create","params":{"id":"890","author":{"id":"42",'
        .. '"created_at":"06/11/2017","screenname":"Alice"},"body":"Nice post!",'
        .. '"thread_id":"888"}}',
    },
    {
      "a private message",
      "private_messages.create",
      { recipient = user(), body = "b", in_reply_to_id = "9", author = user(), id = "1" },
      '{"action":"private_messages.create","params":{"id":"1",'
        .. '"author":{"id":"3","created_at":"d","screenname":"s"},"body":"b",'
        .. '"in_reply_to_id":"9","recipient":{"id":"3","created_at":"d","screenname":"s"}}}',
    },
    {
      "a thread",
      "threads.create",
      { updated_at = "u", title = "t", body = "b", author = user(), actions = {}, id = "1" },
      '{"action":"threads.create","params":{"id":"1","actions":[],'
        .. '"author":{"id":"3","created_at":"d","screenname":"s"},"body":"b","title":"t",'
        .. '"updated_at":"u"}}',
    },
  }
  for _, case in ipairs(documented) do
    it("byte for byte: " .. case[1], function()
      assert.are.equal(case[4], bytes(case[2], case[3]))
    end)
  end

  it("with all fields of a user in the schema's order", function()
    local whole = {
      updated_at = "13",
      screenname = "12",
      puppetizable = false,
      mobile_phone = "10",
      lastname = "9",
      home_phone = "8",
      gender = "woman",
      firstname = "6",
      email = "5",
      created_at = "4",
      context_data = { b = "y", a = "x" },
      avatar_url = "https://2",
      id = "1",
    }
    assert.are.equal(
      '{"action":"users.create","params":{"id":"1","avatar_url":"https://2",'
        .. '"context_data":{"a":"x","b":"y"},"created_at":"4","email":"5","firstname":"6",'
        .. '"gender":"woman","home_phone":"8","lastname":"9","mobile_phone":"10",'
        .. '"puppetizable":false,"screenname":"12","updated_at":"13"}}',
      bytes("users.create", whole)
    )
  end)

  it("without the envelope when no action is given", function()
    local schema = require("sendapi.core").compile(require("sendapi.schema").status)
    assert.are.equal('{"id":"1"}', schema:encode { id = "1" })
  end)
end)

-- The same fields, put into the table in another order for every step (which shares no divisor with
-- their number), among others that are taken out again, so that the table's inner layout differs.
local function shuffled(fields, step)
  local names, params = {}, {}
  for name in pairs(fields) do
    names[#names + 1] = name
  end
  table.sort(names)
  for i = 0, #names - 1 do
    local name = names[i * step % #names + 1]
    params["passing" .. step .. name] = true
    params[name] = fields[name]
  end
  for _, name in ipairs(names) do
    params["passing" .. step .. name] = nil
  end
  return params
end

local function many_fields()
  local context = {}
  for i = 1, 40 do
    context["key" .. ("-"):rep(i % 7) .. i] = { "v" .. i }
  end
  return message {
    actions = { "show" },
    categories = { "a", "b" },
    context_data = context,
    created_at = 0,
    format = "text",
    ip = "::1",
    language = "en",
    extra_b = { z = 1, y = { 2, 3 }, x = false },
    extra_a = "e",
  }
end

describe("the bytes are the same", function()
  local extra = { extra_fields = true }

  it("whatever the order in which a table was filled", function()
    local fields = many_fields()
    local expected = bytes("messages.create", fields, extra)
    for _, step in ipairs { 1, 7, 11, 17, 19, 23 } do
      local params = shuffled(fields, step)
      params.context_data = shuffled(fields.context_data, step)
      params.author = shuffled(fields.author, step)
      params.extra_b = shuffled(fields.extra_b, step)
      assert.are.equal(expected, bytes("messages.create", params, extra))
    end
  end)

  it("whoever compiled the schema, and however often it is used", function()
    local schema = encoding.schema("messages.create", extra)
    local fields = many_fields()
    local expected = schema:encode(fields)
    for _ = 1, 10 do
      assert.are.equal(expected, schema:encode(fields))
      assert.are.equal(expected, bytes("messages.create", fields, extra))
    end
  end)

  -- Lua 5.4 hashes texts differently in every process.
  it("in every process #house", function()
    local script = [[
      local encoding = require "spec.support.encoding"
      local context = {}
      for i = 1, 60 do
        context["key" .. i] = { "v" .. i }
      end
      io.write(encoding.bytes("messages.create", encoding.message {
        context_data = context, x = { a = 1, b = 2, c = 3, d = { e = 4, f = 5 } }, w = 1, v = 2,
      }, { extra_fields = true }))
    ]]
    local lua = jit and "luajit" or "lua" .. _VERSION:match "%d.%d"
    local command = ("LUA_PATH='./?.lua;'\"$LUA_PATH\" %s -e %s"):format(lua, shell.quote(script))
    local first = shell.run(command)
    assert.are.equal(0, first.status, first.errors)
    assert.is_truthy(first.output:find '^{"action":"messages.create"')
    for _ = 1, 4 do
      assert.are.equal(first.output, shell.run(command).output)
    end
  end)
end)

describe("a text", function()
  local written = {
    { "a plain one", "hello", '"hello"' },
    { "an empty one", "", '""' },
    { "quotes and backslashes", [["\/']], [["\"\\/'"]] },
    { "short escapes", "\b\f\n\r\t", [["\b\f\n\r\t"]] },
    { "other control characters", "\0\1\11\31\127", '"\\u0000\\u0001\\u000b\\u001f\127"' },
    { "2, 3 and 4 bytes a character", "é€😀", '"é€😀"' },
    { "the line separators", "\226\128\168\226\128\169", '"\226\128\168\226\128\169"' },
    { "the ends of what UTF-8 holds", "\127\194\128", '"\127\194\128"' },
    { "the last characters", "\239\191\191\244\143\191\191", '"\239\191\191\244\143\191\191"' },
    { "a byte order mark", "\239\187\191a", '"\239\187\191a"' },
    { "what looks like an escape", "\\u0041\\ud800", [["\\u0041\\ud800"]] },
  }
  for _, case in ipairs(written) do
    it("is written: " .. case[1], function()
      assert_written(case[3], "ip", case[2])
    end)
  end

  for name, value in pairs {
    boolean = true,
    table = { "a" },
    ["function"] = print,
    userdata = io.stdout,
    thread = coroutine.create(function() end),
  } do
    it("is not a " .. name, function()
      assert_refused("expected a string, got " .. name, "ip", value)
    end)
  end

  it("may be anything in a url or a choice", function()
    assert_written('"no url"', "display_url", "no url")
    assert_written('"markdown"', "format", "markdown")
    assert_written('"7"', "format", 7)
    assert_written('"8"', "display_url", 8)
  end)
end)

describe("a number in the place of a text", function()
  local written = {
    { "0", 0, "0" },
    { "-0", -0.0, "0" },
    { "an integer", 42, "42" },
    { "a negative integer", -890, "-890" },
    { "an integral float", 3.0, "3" },
    { "a half", 0.5, "0.5" },
    { "a tenth", 0.1, "0.1" },
    { "a third", 1 / 3, "0.3333333333333333" },
    { "pi", 3.141592653589793, "3.141592653589793" },
    { "a small one", 1e-7, "1e-07" },
    { "10^15", 1e15, "1000000000000000" },
    { "the largest exact one", 2 ^ 53 - 1, "9007199254740991" },
    { "the least exact one", -2 ^ 53 + 1, "-9007199254740991" },
  }
  if math.type then
    table.insert(written, { "the largest integer", math.maxinteger, "9223372036854775807" })
    table.insert(written, { "the least integer", math.mininteger, "-9223372036854775808" })
    local large = math.tointeger(2 ^ 53)
    table.insert(written, { "2^53 as an integer", large, "9007199254740992" })
    table.insert(written, { "2^53 + 1 as an integer", large + 1, "9007199254740993" })
  end
  for _, case in ipairs(written) do
    it("becomes its decimal text: " .. case[1], function()
      assert_written('"' .. case[3] .. '"', "ip", case[2])
    end)
  end

  for name, value in pairs { nan = 0 / 0, infinity = math.huge, ["-infinity"] = -math.huge } do
    it("is refused: " .. name, function()
      assert_refused("expected a string, got a number that is not finite", "ip", value)
    end)
  end

  for shown, value in pairs {
    ["9.00719925474099e+15"] = 2 ^ 53,
    ["-9.00719925474099e+15"] = -2 ^ 53,
    ["1e+16"] = 1e16,
    ["9.22337203685478e+18"] = 2 ^ 63,
    ["1e+300"] = 1e300,
  } do
    it("is refused when it may have lost digits: " .. shown, function()
      local found = problem("messages.create", message { ip = value })
      assert.are.equal("params.ip", found.field)
      assert.is_truthy(found.message:find("may have lost digits: give it as a string", 1, true))
    end)
  end
end)

describe("a date", function()
  for _, text in ipairs {
    "2012-02-10",
    "2012-10-01T17:18:40Z",
    "06/11/2017",
    "yesterday",
    "",
    "1349111920",
  } do
    it("passes as any text: " .. text, function()
      assert_written('"' .. text .. '"', "created_at", text)
    end)
  end

  local written = {
    { 0, "1970-01-01T00:00:00Z" },
    { -0.0, "1970-01-01T00:00:00Z" },
    { 1349111920, "2012-10-01T17:18:40Z" },
    { 1349111920.5, "2012-10-01T17:18:40.500Z" },
    { 1349111920.25, "2012-10-01T17:18:40.250Z" },
    { 1700000000.001, "2023-11-14T22:13:20.001Z" },
    { 1700000000.123, "2023-11-14T22:13:20.123Z" },
    { 1700000000.999, "2023-11-14T22:13:20.999Z" },
    { 1349111920.0001, "2012-10-01T17:18:40Z" },
    { -1, "1969-12-31T23:59:59Z" },
    { -0.5, "1969-12-31T23:59:59.500Z" },
    { -1e-17, "1969-12-31T23:59:59.999Z" },
    { 951782400, "2000-02-29T00:00:00Z" },
    { 4102444800, "2100-01-01T00:00:00Z" },
    { -62135596800, "0001-01-01T00:00:00Z" },
    { 253402300799, "9999-12-31T23:59:59Z" },
  }
  for _, case in ipairs(written) do
    it("is made of epoch seconds: " .. ("%.15g"):format(case[1]), function()
      assert_written('"' .. case[2] .. '"', "created_at", case[1])
    end)
  end

  it("is what the system's calendar says", function()
    for seconds = -2000000000, 4000000000, 86399987 do
      local expected = os.date("!%Y-%m-%dT%H:%M:%SZ", seconds)
      assert_written('"' .. expected .. '"', "created_at", seconds)
    end
  end)

  for name, value in pairs {
    ["before the year 1"] = -62135596801,
    ["after the year 9999"] = 253402300800,
    ["as milliseconds"] = 1700000000000,
    ["huge"] = 1e300,
    ["nan"] = 0 / 0,
    ["infinite"] = math.huge,
    ["minus infinite"] = -math.huge,
  } do
    it("is refused: " .. name, function()
      assert_refused("expected epoch seconds within the years 1 to 9999", "created_at", value)
    end)
  end

  for name, value in pairs { table = os.date "*t", boolean = true } do
    it("is not a " .. name, function()
      local expected = "expected a date as a string or epoch seconds, got " .. name
      assert_refused(expected, "created_at", value)
    end)
  end

  it("is one in every place that takes dates", function()
    assert.are.equal(
      '{"action":"users.create","params":{"id":"3","created_at":"1970-01-01T00:00:01Z",'
        .. '"screenname":"s","updated_at":"1970-01-01T00:00:02Z"}}',
      bytes("users.create", user { created_at = 1, updated_at = 2 })
    )
    assert_written('"1970-01-01T00:00:03Z"', "created_at", 3)
    assert.are.equal(
      encoding.HEAD .. encoding.TAIL .. ',"updated_at":"1970-01-01T00:00:04Z"' .. encoding.END,
      bytes("messages.create", message { updated_at = 4 })
    )
  end)
end)

describe("a boolean", function()
  for _, value in ipairs { true, false } do
    it("is written: " .. tostring(value), function()
      assert.are.equal(
        '{"action":"users.create","params":{"id":"3","created_at":"d","puppetizable":'
          .. tostring(value)
          .. ',"screenname":"s"}}',
        bytes("users.create", user { puppetizable = value })
      )
    end)
  end

  for name, value in pairs { string = "true", number = 1, table = {} } do
    it("is not a " .. name, function()
      local found = problem("users.create", user { puppetizable = value })
      assert.are.equal("params.puppetizable: expected a boolean, got " .. name, found.message)
    end)
  end
end)

describe("null means absent", function()
  it("in every optional field", function()
    assert.are.equal(
      encoding.HEAD .. encoding.TAIL .. encoding.END,
      bytes(
        "messages.create",
        message {
          actions = cjson.null,
          attachments = cjson.null,
          context_data = cjson.null,
          created_at = cjson.null,
          format = cjson.null,
          structured_content = cjson.null,
          structured_reply = cjson.null,
          updated_at = cjson.null,
        }
      )
    )
  end)

  it("in tables within", function()
    local absent = user { email = cjson.null, puppetizable = cjson.null, context_data = cjson.null }
    assert.are.equal(
      encoding.HEAD .. encoding.TAIL .. encoding.END,
      bytes("messages.create", message { author = absent })
    )
  end)

  it("as params", function()
    for _, value in ipairs { cjson.null, "params", 1, true, io.stdout } do
      local found = problem("messages.create", value)
      assert.are.equal("params: expected a table, got " .. type(value), found.message)
      assert.are.equal("params", found.field)
    end
    assert.are.equal("params: expected a table, got nil", problem("messages.create").message)
  end)
end)
