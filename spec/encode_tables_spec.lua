-- How sequences, maps, unknown fields and lua-cjson's values are written.
local cjson = require "cjson"
local core = require "sendapi.core"
local encoding = require "spec.support.encoding"

local bytes, message = encoding.bytes, encoding.message
local extra_fields = { extra_fields = true }

--- Checks how a field that stands between `body` and `thread_id` is written.
local function assert_written(expected, name, value)
  assert.are.equal(
    encoding.HEAD .. ',"' .. name .. '":' .. expected .. encoding.TAIL .. encoding.END,
    bytes("messages.create", message { [name] = value })
  )
end

--- Checks how a field is written that the schema does not know: after all others.
local function assert_extra(expected, value)
  assert.are.equal(
    encoding.HEAD .. encoding.TAIL .. ',"x":' .. expected .. encoding.END,
    bytes("messages.create", message { x = value }, extra_fields)
  )
end

local function assert_refused(expected, changes, options)
  local found = encoding.problem("messages.create", message(changes), options)
  assert.are.equal("invalid_params", found.code)
  assert.are.equal(expected, encoding.described(found))
end

local function with_hole()
  local items = { "a", "b", "c", "d" }
  items[2] = nil
  return items
end

--- As many entries as the length says, and yet a hole.
local function hole_beside_a_name()
  local items = { "a", "b", nil, "d" }
  items.name = "e"
  return items
end

local no_sequence = "expected a sequence, got a table with other keys or with holes"

describe("a sequence", function()
  local written = {
    { "of none", {}, "[]" },
    { "of one", { "a" }, '["a"]' },
    { "of several", { "a", "", "c" }, '["a","","c"]' },
    { "of numbers", { 1, 2.5, -3 }, '["1","2.5","-3"]' },
  }
  for _, case in ipairs(written) do
    it("is written: " .. case[1], function()
      assert_written(case[3], "categories", case[2])
    end)
  end

  it("of 10000 is written in its order", function()
    local items, expected = {}, {}
    for i = 1, 10000 do
      items[i] = "item " .. i
      expected[i] = '"item ' .. i .. '"'
    end
    assert_written("[" .. table.concat(expected, ",") .. "]", "categories", items)
  end)

  local refused = {
    { "with a name for a key", { a = "x" } },
    { "with a name beside its items", { "x", a = "y" } },
    { "with a hole at its beginning", { [2] = "x" } },
    { "with a hole within", with_hole() },
    { "with 0 for a key", { [0] = "x" } },
    { "with a fraction for a key", { "x", [1.5] = "y" } },
    { "with a negative key", { "x", [-1] = "y" } },
    { "with a boolean for a key", { "x", [true] = "y" } },
    { "with a key far off", { [1000000] = "x" } },
  }
  for _, case in ipairs(refused) do
    it("is refused: " .. case[1], function()
      assert_refused("params.categories: " .. no_sequence, { categories = case[2] })
    end)
  end

  it("is refused with a hole and as many names", function()
    local expected = "params.categories[3]: is missing: a sequence has no holes"
    assert_refused(expected, { categories = hole_beside_a_name() })
  end)

  for name, value in pairs { string = "a", number = 1, boolean = false, userdata = io.stdout } do
    it("is not a " .. name, function()
      assert_refused("params.actions: expected a sequence, got " .. name, { actions = value })
    end)
  end

  it("names the item that is wrong", function()
    local text = "expected a string, got "
    assert_refused("params.actions[2]: " .. text .. "table", { actions = { "a", {} } })
    assert_refused("params.actions[1]: " .. text .. "boolean", { actions = { true } })
    assert_refused("params.actions[3]: " .. text .. "userdata", { actions = { 1, 2, cjson.null } })
  end)
end)

describe("context_data", function()
  local written = {
    { "empty", {}, "{}" },
    { "a text", { a = "x" }, '{"a":"x"}' },
    { "several texts", { a = { "x", "y" } }, '{"a":["x","y"]}' },
    { "an empty sequence", { a = {} }, '{"a":[]}' },
    { "a number", { a = 5, b = { 6, 7.5 } }, '{"a":"5","b":["6","7.5"]}' },
    { "null", { a = cjson.null, b = "x", c = cjson.null }, '{"b":"x"}' },
    { "nothing but null", { a = cjson.null }, "{}" },
    { "names in the order of their bytes", {
      b = "1",
      a = "2",
      B = "3",
      aa = "4",
      ["a-"] = "5",
      [""] = "6",
      ["é"] = "7",
      ["a\0"] = "8",
    }, '{"":"6","B":"3","a":"2","a\\u0000":"8","a-":"5","aa":"4","b":"1","é":"7"}' },
    { "names that need escapes", { ['"\\\n'] = "x" }, [[{"\"\\\n":"x"}]] },
  }
  for _, case in ipairs(written) do
    it("is written: " .. case[1], function()
      assert_written(case[3], "context_data", case[2])
    end)
  end

  it("of 10000 entries is written in order", function()
    local entries, names = {}, {}
    for i = 1, 10000 do
      local name = ("%x"):format(i * 7919 % 65536) .. "-" .. i
      entries[name] = "v" .. i
      names[i] = name
    end
    table.sort(names)
    local expected = {}
    for i, name in ipairs(names) do
      expected[i] = ('"%s":"%s"'):format(name, entries[name])
    end
    assert_written("{" .. table.concat(expected, ",") .. "}", "context_data", entries)
  end)

  for name, entries in pairs {
    ["a sequence"] = { "x" },
    ["a number beside names"] = { a = "x", [1] = "y" },
    ["a boolean"] = { [true] = "x" },
    ["a table"] = { [{}] = "x" },
  } do
    it("is refused with keys that are no strings: " .. name, function()
      local expected = "params.context_data: expected strings as keys"
      assert_refused(expected, { context_data = entries })
    end)
  end

  local refused = {
    { { a = true }, ".a: expected a string, got boolean" },
    { { a = print }, ".a: expected a string, got function" },
    { { a = { { "x" } } }, ".a[1]: expected a string, got table" },
    { { a = { "x", cjson.null } }, ".a[2]: expected a string, got userdata" },
    { { a = { b = "x" } }, ".a: " .. no_sequence },
    { { a = { [2] = "x" } }, ".a: " .. no_sequence },
    { { a = 0 / 0 }, ".a: expected a string, got a number that is not finite" },
    { { ["a b"] = { "x", false } }, ".a b[2]: expected a string, got boolean" },
    { "x", ": expected a table, got string" },
    { false, ": expected a table, got boolean" },
  }
  for _, case in ipairs(refused) do
    it("is refused" .. case[2], function()
      assert_refused("params.context_data" .. case[2], { context_data = case[1] })
    end)
  end
end)

describe("an object", function()
  it("is refused when its keys are no names", function()
    assert_refused("params: expected names as keys, got a number", { "x" })
    assert_refused("params: expected names as keys, got a boolean", { [true] = "x" })
    assert_refused(
      "params.author: expected names as keys, got a number",
      { author = encoding.user { "x" } }
    )
    assert_refused("params: expected names as keys, got a number", { "x" }, extra_fields)
  end)

  it("may be empty when none of its fields is required", function()
    assert_written("{}", "structured_reply", {})
  end)

  for name, value in pairs { string = "John", number = 1, boolean = true, userdata = io.stdout } do
    it("is not a " .. name, function()
      assert_refused("params.author: expected a table, got " .. name, { author = value })
    end)
  end
end)

describe("an unknown field that may pass", function()
  local written = {
    { "a text", "x", '"x"' },
    { "an integer", 42, "42" },
    { "an integral float", 42.0, "42" },
    { "-0", -0.0, "0" },
    { "a fraction", 0.1, "0.1" },
    { "the largest exact float", 2 ^ 53 - 1, "9007199254740991" },
    { "a large float", 1e300, "1e+300" },
    { "a small float", 5e-324, "4.94065645841247e-324" },
    { "true", true, "true" },
    { "false", false, "false" },
    { "an empty table", {}, "{}" },
    { "a sequence", { 1, "b", true, { 2 } }, '[1,"b",true,[2]]' },
    { "null within a sequence", { 1, cjson.null, 3, cjson.null }, "[1,null,3,null]" },
    { "a map", { b = 1, a = { c = "x" } }, '{"a":{"c":"x"},"b":1}' },
    { "null within a map", { b = cjson.null, a = 1 }, '{"a":1}' },
  }
  if math.type then
    table.insert(written, { "the largest integer", math.maxinteger, "9223372036854775807" })
    table.insert(written, { "the least integer", math.mininteger, "-9223372036854775808" })
  end
  for _, case in ipairs(written) do
    it("is written: " .. case[1], function()
      assert_extra(case[3], case[2])
    end)
  end

  it("comes after the known ones, in the order of the names' bytes", function()
    assert.are.equal(
      encoding.HEAD .. encoding.TAIL .. ',"a":1,"aa":2,"b":3,"c":null' .. encoding.END,
      (bytes("messages.create", message { b = 3, aa = 2, a = 1, c = "null" }, extra_fields):gsub(
        '"null"',
        "null"
      ))
    )
  end)

  it("is left out when it is null", function()
    assert.are.equal(
      encoding.HEAD .. encoding.TAIL .. encoding.END,
      bytes("messages.create", message { x = cjson.null }, extra_fields)
    )
  end)

  it("may stand in objects within, alone or not", function()
    assert.are.equal(
      '{"action":"messages.create","params":{"id":"1","attachments":[{"url":"u","y":1}],'
        .. '"author":{"id":"3","created_at":"d","screenname":"s","z":[true]},'
        .. '"structured_reply":{"w":{}},"thread_id":"2"}}',
      bytes("messages.create", {
        id = "1",
        thread_id = "2",
        attachments = { { url = "u", y = 1 } },
        author = encoding.user { z = { true } },
        structured_reply = { w = {} },
      }, extra_fields)
    )
  end)

  it("does not change what the known ones must be", function()
    assert_refused("params.ip: expected a string, got table", { ip = {}, x = 1 }, extra_fields)
    assert_refused("params.id: is missing", { id = encoding.NONE, x = 1 }, extra_fields)
  end)

  local refused = {
    { "nan", 0 / 0, ": JSON has no number that is not finite" },
    { "infinity", { a = { math.huge } }, ".a[1]: JSON has no number that is not finite" },
    { "a function", print, ": expected a value that JSON can hold, got function" },
    { "a userdata", { io.stdout }, "[1]: expected a value that JSON can hold, got userdata" },
    { "names beside items", { "x", a = 1 }, ": " .. no_sequence },
    { "a hole", { a = with_hole() }, ".a: " .. no_sequence },
    {
      "a hole and as many names",
      hole_beside_a_name(),
      "[3]: is missing: a sequence has no holes",
    },
    { "a key that is no string", { [5] = 1 }, ": expected strings as keys" },
    { "a key that is not UTF-8", { ["\255"] = 1 }, ": has a key that is not valid UTF-8" },
    { "a text that is not UTF-8", { a = { "\255" } }, ".a[1]: is not valid UTF-8" },
  }
  for _, case in ipairs(refused) do
    it("is refused: " .. case[1], function()
      assert_refused("params.x" .. case[3], { x = case[2] }, extra_fields)
    end)
  end

  it("must have a name that is UTF-8", function()
    assert_refused("params: has a key that is not valid UTF-8", { ["\255"] = 1 }, extra_fields)
  end)
end)

describe("tables where anything may stand", function()
  local function nested(depth, innermost)
    local value = innermost
    for _ = 1, depth do
      value = { a = value }
    end
    return value
  end

  it("lie up to 32 deep", function()
    local expected = ('{"a":'):rep(32) .. "1" .. ("}"):rep(32)
    assert_extra(expected, nested(32, 1))
    assert_refused(
      "params.x" .. (".a"):rep(32) .. ": lies more than 32 tables deep",
      { x = nested(33, 1) },
      extra_fields
    )
  end)

  it("lie no deeper as sequences", function()
    local value = {}
    for _ = 1, 32 do
      value = { value }
    end
    assert_refused(
      "params.x" .. ("[1]"):rep(32) .. ": lies more than 32 tables deep",
      { x = value },
      extra_fields
    )
  end)

  it("count anew for every field", function()
    local deep = nested(30, 1)
    local expected = ('{"a":'):rep(30) .. "1" .. ("}"):rep(30)
    assert_extra(("[%s,%s,%s]"):format(expected, expected, expected), { deep, deep, deep })
  end)

  it("may not hold themselves", function()
    local itself = {}
    itself.itself = itself
    local found = encoding.problem("messages.create", message { x = itself }, extra_fields)
    assert.are.equal("params.x" .. (".itself"):rep(32), found.field)
    local first, second = {}, {}
    first[1], second[1] = second, first
    found = encoding.problem("messages.create", message { x = first }, extra_fields)
    assert.are.equal("params.x" .. ("[1]"):rep(32), found.field)
    local params = message()
    params.params = params
    found = encoding.problem("messages.create", params, extra_fields)
    assert.are.equal("params" .. (".params"):rep(32) .. ".author", found.field)
  end)
end)

describe("lua-cjson's values", function()
  local empty_array = function() end
  local array_mt, empty_array_mt = {}, {}

  setup(function()
    core.sentinels {
      empty_array = empty_array,
      array_mt = array_mt,
      empty_array_mt = empty_array_mt,
    }
  end)

  teardown(function()
    core.sentinels {
      empty_array = cjson.empty_array,
      array_mt = cjson.array_mt,
      empty_array_mt = cjson.empty_array_mt,
    }
  end)

  it("empty_array is an empty sequence", function()
    assert_written("[]", "categories", empty_array)
    assert_written('{"a":[]}', "context_data", { a = empty_array })
    assert_extra("[]", empty_array)
    assert_extra('{"a":[[]]}', { a = { empty_array } })
  end)

  it("empty_array is nothing else", function()
    assert_refused("params.ip: expected a string, got function", { ip = empty_array })
    assert_refused("params.id: must not be empty", { id = empty_array })
    assert_refused(
      "params.context_data: expected a table, got function",
      { context_data = empty_array }
    )
    assert_refused(
      "params.categories[1]: expected a string, got function",
      { categories = { empty_array } }
    )
  end)

  it("empty_array counts as absent where something is required", function()
    assert_refused(
      "params.body: is missing, unless there is 'attachments'",
      { body = encoding.NONE, attachments = empty_array }
    )
    assert_refused("params.author: must not be empty", { author = empty_array })
  end)

  it("array_mt and empty_array_mt mark sequences where anything may stand", function()
    for _, metatable in ipairs { array_mt, empty_array_mt } do
      assert_extra("[]", setmetatable({}, metatable))
      assert_extra('{"a":[],"b":{}}', { a = setmetatable({}, metatable), b = {} })
      assert_extra("[1,2]", setmetatable({ 1, 2 }, metatable))
      assert_refused(
        "params.x: " .. no_sequence,
        { x = setmetatable({ a = 1 }, metatable) },
        extra_fields
      )
    end
  end)

  it("array_mt and empty_array_mt do not overrule the schema", function()
    for _, metatable in ipairs { array_mt, empty_array_mt } do
      assert_written("[]", "categories", setmetatable({}, metatable))
      assert_written("{}", "context_data", setmetatable({}, metatable))
    end
  end)

  it("other metatables mark nothing", function()
    assert_extra("{}", setmetatable({}, {}))
  end)

  it("mean nothing once they are taken back", function()
    core.sentinels {}
    assert_extra("{}", setmetatable({}, array_mt))
    assert_refused(
      "params.categories: expected a sequence, got function",
      { categories = empty_array }
    )
    core.sentinels {
      empty_array = empty_array,
      array_mt = array_mt,
      empty_array_mt = empty_array_mt,
    }
  end)
end)
