-- Our encoder beside tools that we did not write: lua-cjson reads its output back, openssl signs.
local cjson = require "cjson"
local encoding = require "spec.support.encoding"
local generator = require "spec.support.generator"
local hmac = require "spec.support.hmac"
local sendapi = require "sendapi"

local message = encoding.message
local extra_fields = { extra_fields = true }
local slow = os.getenv "SENDAPI_SLOW"

local SEED = 20121001
local MESSAGES = slow and 150 or 3000

--- The path of the first difference between two values that JSON can hold, or nil.
local function difference(expected, actual, path)
  if type(expected) ~= "table" or type(actual) ~= "table" then
    return expected ~= actual and path or nil
  end
  for key, value in pairs(expected) do
    local found = difference(value, actual[key], path .. "." .. tostring(key))
    if found then
      return found
    end
  end
  for key in pairs(actual) do
    if expected[key] == nil then
      return path .. "." .. tostring(key)
    end
  end
end

local function assert_reads_back(expected, bytes)
  local read = cjson.decode(bytes)
  assert.are.equal("messages.create", read.action)
  local where = difference(expected, read.params, "params")
  assert.is_nil(where, where and where .. " differs in " .. bytes)
end

describe("what is written reads back", function()
  it("for messages made up from a seed, whose bytes are signed as openssl signs them", function()
    local made = generator.new(SEED)
    local schema = encoding.schema("messages.create", extra_fields)
    local sample = {}
    for i = 1, MESSAGES do
      local given, expected = made:message()
      local bytes, problem = schema:encode(given)
      assert.is_string(bytes, problem and problem.message)
      assert.is_nil(bytes:find "[%z\1-\31]")
      assert_reads_back(expected, bytes)
      if i % (MESSAGES / 50) == 0 then
        sample[#sample + 1] = bytes
      end
    end
    assert.are.equal(50, #sample)
    for _, token in ipairs { "56e79ea426735090665b1c107c757d6d", "\0\255 any bytes \127" } do
      for i, signature in ipairs(hmac.sign_all(token, sample)) do
        assert.are.equal(signature, sendapi.sign(token, sample[i]))
      end
    end
  end)

  -- If the schema's order or the generator changes, so does this figure, and it may.
  it("and is the same bytes under every Lua", function()
    local made = generator.new(SEED)
    local schema = encoding.schema("messages.create", extra_fields)
    local bodies = {}
    for i = 1, 100 do
      bodies[i] = schema:encode((made:message()))
    end
    local digest = sendapi.sign("all", table.concat(bodies, "\n")):sub(1, 32)
    assert.are.equal("8e6f894ec1b3b721e7ff030af80322c1", digest)
  end)

  it("for every character there is", function()
    local schema = encoding.schema "messages.create"
    for first = 0, 0x10FF00, slow and 0x3100 or 0x100 do
      local characters = {}
      for code = first, first + 0xFF do
        if code < 0xD800 or code > 0xDFFF then
          characters[#characters + 1] = generator.character(code)
        end
      end
      local text = table.concat(characters)
      local bytes = schema:encode(message { ip = text })
      assert.are.equal(text, cjson.decode(bytes).params.ip)
      if first > 0 then
        assert.is_truthy(bytes:find('"ip":"' .. text .. '"', 1, true), "it is escaped")
      end
    end
  end)

  it("for every control character, alone and among others", function()
    for code = 0, 31 do
      local character = string.char(code)
      for _, text in ipairs {
        character,
        character:rep(2),
        "a" .. character,
        character .. "a",
        ("a"):rep(63) .. character .. ("é"):rep(40) .. character,
      } do
        local given = message { ip = text, context_data = { [text] = { text } }, [text] = text }
        assert_reads_back(given, encoding.bytes("messages.create", given, extra_fields))
      end
    end
  end)

  it("for texts of every length round the ends of a buffer", function()
    local schema = encoding.schema "messages.create"
    for _, around in ipairs { 0, 1024, 2048, 65536 } do
      for length = math.max(around - 200, 0), around + 20, slow and 50 or 1 do
        for _, piece in ipairs { "a", '"' } do
          local text = piece:rep(length)
          assert.is_true(text == cjson.decode(schema:encode(message { ip = text })).params.ip)
        end
      end
    end
  end)

  it("for deep tables", function()
    for depth = 1, 31 do
      local tree = "leaf"
      for level = 1, depth do
        tree = level % 2 == 0 and { tree, level } or { ["é" .. level] = tree, b = { level } }
      end
      local given = message { x = tree }
      assert_reads_back(given, encoding.bytes("messages.create", given, extra_fields))
    end
  end)

  it("for wide tables", function()
    local width = slow and 1000 or 20000
    local context, sequence, mixed = {}, {}, {}
    for i = 1, width do
      context["key" .. i] = "value" .. i
      sequence[i] = "item" .. i
      mixed["x" .. i] = i % 2 == 0 and i / 4 or { i }
    end
    local given = message { context_data = context, categories = sequence, x = mixed }
    for i = 1, width do
      given["extra" .. i] = i
    end
    assert_reads_back(given, encoding.bytes("messages.create", given, extra_fields))
  end)

  if math.type then
    it("for integers of 64 bits, digit by digit", function()
      local integers = { math.maxinteger, math.mininteger, math.maxinteger - 1 }
      for bit = 0, 62 do
        local power = math.tointeger(2 ^ bit)
        for step = -1, 1 do
          integers[#integers + 1] = power + step
          integers[#integers + 1] = -power + step
        end
      end
      for _, integer in ipairs(integers) do
        local digits = ("%d"):format(integer)
        local bytes = encoding.bytes("messages.create", message { ip = integer, x = integer }, {
          extra_fields = true,
        })
        assert.is_truthy(bytes:find('"ip":"' .. digits .. '","thread_id"', 1, true), digits)
        assert.is_truthy(bytes:find('"x":' .. digits .. "}", 1, true), digits)
      end
    end)
  end

  it("for floats, exactly", function()
    local made = generator.new(SEED)
    for _ = 1, slow and 200 or 5000 do
      local number = made:number() * 2 ^ (made:below(1800) - 900)
      local bytes = encoding.bytes("messages.create", message { x = number }, extra_fields)
      assert.are.equal(number, tonumber(bytes:match '"x":([%d.e+-]+)}'), bytes)
    end
    for _, number in ipairs { 1.7976931348623157e308, 2.2250738585072014e-308, 5e-324, 2 ^ 53 } do
      for _, signed in ipairs { number, -number } do
        local bytes = encoding.bytes("messages.create", message { x = signed }, extra_fields)
        assert.are.equal(signed, tonumber(bytes:match '"x":([%d.e+-]+)}'), bytes)
      end
    end
  end)
end)

describe("what is not UTF-8 is refused", function()
  local invalid = {
    ["a lone continuation byte"] = { "\128", "\191", "\128\128", "\169" },
    ["a first byte that none may be"] = { "\192", "\193", "\245", "\248", "\252", "\254", "\255" },
    ["overlong forms"] = {
      "\192\128",
      "\192\175",
      "\193\191",
      "\224\128\128",
      "\224\159\191",
      "\240\128\128\128",
      "\240\143\191\191",
      "\248\136\128\128\128",
      "\252\132\128\128\128\128",
    },
    ["surrogates"] = {
      "\237\160\128",
      "\237\175\191",
      "\237\176\128",
      "\237\191\191",
      "\237\160\189\237\184\128",
    },
    ["what lies above U+10FFFF"] = { "\244\144\128\128", "\244\191\191\191", "\245\128\128\128" },
    ["what is cut short"] = {
      "\195",
      "\226",
      "\226\130",
      "\240",
      "\240\159",
      "\240\159\152",
      "\244\143\191",
    },
    ["what goes on with something else"] = {
      "\195a",
      '\195"',
      "\195\192",
      "\195\0",
      "\226a\172",
      "\226\130a",
      "\226\130\195",
      "\240\159\152a",
      "\240\159\152\240",
      "\240a\152\128",
    },
  }

  --- A message with a text in one place, by the path of that place.
  local places = {
    ["params.id"] = function(text)
      return message { id = text }
    end,
    ["params.author.screenname"] = function(text)
      return message { author = encoding.user { screenname = text } }
    end,
    ["params.attachments[2].url"] = function(text)
      return message { attachments = { { url = "u" }, { url = text } } }
    end,
    ["params.categories[3]"] = function(text)
      return message { categories = { "a", "b", text } }
    end,
    ["params.context_data.a"] = function(text)
      return message { context_data = { a = text, b = "x" } }
    end,
    ["params.context_data.b[2]"] = function(text)
      return message { context_data = { a = "x", b = { "x", text } } }
    end,
    ["params.created_at"] = function(text)
      return message { created_at = text }
    end,
    ["params.format"] = function(text)
      return message { format = text }
    end,
    ["params.structured_content.items[1].title"] = function(text)
      return encoding.structured { type = "select", items = { { title = text } } }
    end,
    ["params.x.y[1]"] = function(text)
      return message { x = { y = { text } } }
    end,
  }

  --- Before, behind and between characters that are right, in short texts and long ones.
  local function surrounded(bytes)
    local long = ("é"):rep(50)
    return { bytes, "a" .. bytes, bytes .. "a", "é" .. bytes, "\0" .. bytes .. "é", long .. bytes }
  end

  for class, sequences in pairs(invalid) do
    it("with the place where it stands: " .. class, function()
      for path, make in pairs(places) do
        local action = "messages.create"
        for _, bytes in ipairs(sequences) do
          for _, text in ipairs(surrounded(bytes)) do
            local found = encoding.problem(action, make(text), extra_fields)
            assert.are.equal("invalid_params", found.code)
            assert.are.equal(path, found.field)
            assert.are.equal(path .. ": is not valid UTF-8", found.message)
          end
        end
      end
    end)
  end

  it("as a name, with the place of its table", function()
    for _, sequences in pairs(invalid) do
      for _, bytes in ipairs(sequences) do
        for path, params in pairs {
          ["params.context_data"] = message { context_data = { [bytes] = "x" } },
          ["params.x.y"] = message { x = { y = { [bytes] = 1 } } },
          ["params"] = message { [bytes] = 1 },
        } do
          local found = encoding.problem("messages.create", params, extra_fields)
          assert.are.equal(path .. ": has a key that is not valid UTF-8", found.message)
        end
      end
    end
  end)
end)
