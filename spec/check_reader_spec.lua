--- JSON as the conformance run reads it: an empty array is no empty object.
local reader = require "sendapi.check.reader"

describe("the reader", function()
  local function read(text)
    local is_json, value = reader.read(text)
    assert.is_true(is_json, text)
    return value
  end

  it("tells arrays and objects apart, wherever they are", function()
    local value = read '{"a":[],"b":{},"c":[[],{}, [ ] ,[1,[2]]],"d":[\n\t]}'
    assert.is_true(reader.is_object(value))
    assert.is_true(reader.is_array(value.a))
    assert.is_true(reader.is_object(value.b))
    assert.is_false(reader.is_array(value.b))
    assert.are.equal(4, #value.c)
    assert.is_true(reader.is_array(value.c[1]))
    assert.is_true(reader.is_object(value.c[2]))
    assert.is_true(reader.is_array(value.c[3]))
    assert.are.equal(1, value.c[4][1])
    assert.are.equal(2, value.c[4][2][1])
    assert.are.equal(0, #value.d)
    assert.is_true(reader.is_array(value.d))
    assert.is_true(reader.is_array(read "[]"))
    assert.is_true(reader.is_object(read "{}"))
  end)

  it("leaves strings as they are", function()
    local texts = { "[", "[]", "[[", '["a"]', '\\"[', "\\", "a\\\\", "[ ]" }
    for _, text in ipairs(texts) do
      local quoted = '"' .. text:gsub('[\\"]', "\\%0") .. '"'
      assert.are.equal(text, read(quoted))
      assert.same({ text, text }, setmetatable(read("[" .. quoted .. "," .. quoted .. "]"), nil))
      assert.are.equal(text, read("{" .. quoted .. ":[" .. quoted .. "]}")[text][1])
    end
  end)

  it("keeps nulls in their places", function()
    local value = read '[null,1,null,[null]]'
    assert.are.equal(4, #value)
    assert.are.equal(reader.null, value[1])
    assert.are.equal(reader.null, value[4][1])
  end)

  it("reads nothing that is not JSON", function()
    for _, text in ipairs { "[", '["', '"\\', "[1,]", "{]", "\233", '"\0"', "[]]", "[1e999]" } do
      local is_json, why = reader.read(text)
      assert.is_false(is_json)
      assert.is_string(why)
    end
    assert.is_false((reader.read(("["):rep(100) .. ("]"):rep(100))))
    assert.is_false((reader.read '{"a":1,"a":2}'))
  end)

  it("says what a value is", function()
    local rows = {
      { "[]", "an empty array []" },
      { "[1]", "an array" },
      { "{}", "an empty object {}" },
      { '{"a":1}', "an object" },
      { "null", "null" },
      { "1", "a number" },
      { '"a"', "a string" },
      { "true", "a boolean" },
    }
    for _, row in ipairs(rows) do
      assert.are.equal(row[2], reader.describe(read(row[1])))
    end
    assert.are.equal("nothing", reader.describe(nil))
  end)
end)
