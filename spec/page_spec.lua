-- `sendapi.page`: the rule by which a `list` answers.
local generators = require "spec.support.generator"
local raising = require "spec.support.raising"
local sendapi = require "sendapi"

local page = sendapi.page

local function items_of(...)
  local items = {}
  for i, id in ipairs { ... } do
    items[i] = { id = id, place = i }
  end
  return items
end

local function ids(items)
  local list = {}
  for i, item in ipairs(items) do
    list[i] = item.id
  end
  return table.concat(list, " ")
end

describe("a page", function()
  local items = items_of("c", "a", "d", "b", "e")

  it("has everything, newest first", function()
    assert.are.equal("e b d a c", ids(page(items)))
    assert.are.equal("e b d a c", ids(page(items, nil, nil)))
    assert.are.equal("e b d a c", ids(page(items, "", 5)))
    assert.are.equal("e b d a c", ids(page(items, nil, 100)))
  end)

  it("has what came after since_id, by the order and not by the ids", function()
    assert.are.equal("e b", ids(page(items, "d")))
    assert.are.equal("", ids(page(items, "e")))
    assert.are.equal("e b d a", ids(page(items, "c", 4)))
  end)

  it("has the oldest ones when it is limited, still newest first", function()
    assert.are.equal("a c", ids(page(items, nil, 2)))
    assert.are.equal("b d", ids(page(items, "a", 2)))
    assert.are.equal("e", ids(page(items, "b", 2)))
    assert.are.equal("", ids(page(items, "e", 2)))
  end)

  it("begins anew when since_id is unknown", function()
    assert.are.equal("e b d a c", ids(page(items, "deleted")))
    assert.are.equal("a c", ids(page(items, "deleted", 2)))
  end)

  it("passes over what was there before", function()
    local repeated = items_of("a", "b", "a", "c", "b", "d")
    assert.are.equal("d c b a", ids(page(repeated)))
    assert.are.equal("d c b", ids(page(repeated, "a")))
    assert.are.equal("c b", ids(page(repeated, "a", 2)))
    assert.are.equal(1, page(repeated, nil, 1)[1].place)
  end)

  it("takes numbers for the texts that they become", function()
    local numbers = items_of(1, "2", 2, 1e15, "x")
    assert.are.same({ 5, 4 }, { page(numbers, "2")[1].place, page(numbers, 2)[2].place })
    assert.are.equal(1, #page(numbers, "1000000000000000"))
    assert.are.equal(4, #page(items_of(0.5, 1, 1e300, -1, "0.5")))
  end)

  it("is a new sequence of the same items, which are left as they are", function()
    local all = page(items)
    assert.are_not.equal(items, all)
    assert.are.equal(items[1], all[5])
    all[1] = nil
    assert.are.equal("c a d b e", ids(items))
    assert.are.same({}, page {})
  end)
end)

--- The same by other means: what is new, one item after the other.
local function naive(items, since_id, limit)
  local new, known = {}, {}
  for _, item in ipairs(items) do
    if not known[item.id] then
      known[item.id] = true
      table.insert(new, item)
    end
  end
  if known[since_id] then
    while table.remove(new, 1).id ~= since_id do
      assert(#new > 0)
    end
  end
  while limit and #new > limit do
    table.remove(new)
  end
  local reversed = {}
  for _, item in ipairs(new) do
    table.insert(reversed, 1, item)
  end
  return reversed
end

--- Up to `most` items whose ids neither ascend nor are all different.
local function random_items(generator, most)
  local items = {}
  for i = 1, generator:below(most + 1) do
    items[i] = { id = ("%x"):format(generator:below(2 * most)), place = i }
  end
  return items
end

describe("whatever the items and the limit,", function()
  it("a page is what a naive model says", function()
    local generator = generators.new(42)
    for _ = 1, 2000 do
      local items = random_items(generator, 20)
      local since_id = ("%x"):format(generator:below(50))
      local limit = not generator:once_in(4) and generator:below(25) + 1 or nil
      local expected, actual = naive(items, since_id, limit), page(items, since_id, limit)
      assert.are.equal(#expected, #actual)
      for i, item in ipairs(expected) do
        assert.are.equal(item, actual[i])
      end
    end
  end)

  --- Asks as Engage Digital does, until nothing is new; `between` happens after each page.
  local function read_all(items, limit, between)
    local reached, since_id = {}, nil
    repeat
      local new = page(items, since_id, limit)
      assert.is_true(#new <= limit)
      for i = #new, 1, -1 do
        reached[#reached + 1] = new[i]
      end
      assert.is_true(#reached <= 1000, "it never ends")
      since_id = new[1] and new[1].id
      between(items)
    until not since_id
    return reached
  end

  --- Whether these are all the items, each once, in order.
  local function assert_complete(items, reached)
    local expected = naive(items)
    assert.are.equal(#expected, #reached)
    for i, item in ipairs(reached) do
      assert.are.equal(expected[#expected + 1 - i], item)
    end
  end

  it("paging through reaches every item exactly once and in order", function()
    local generator = generators.new(7)
    for _ = 1, 60 do
      local items = random_items(generator, 30)
      for limit = 1, #items + 1 do
        assert_complete(items, read_all(items, limit, function() end))
      end
    end
  end)

  it("so it does when items come meanwhile", function()
    local generator = generators.new(8)
    for _ = 1, 200 do
      local items = random_items(generator, 20)
      local left = generator:below(20)
      local limit = generator:below(5) + 1
      local reached = read_all(items, limit, function()
        if left > 0 then
          left = left - 1
          items[#items + 1] = { id = ("%x"):format(generator:below(60)), place = #items + 1 }
        end
      end)
      -- The reading may end before the last ones come.
      local rest = page(items, reached[#reached] and reached[#reached].id)
      for i = #rest, 1, -1 do
        reached[#reached + 1] = rest[i]
      end
      assert_complete(items, reached)
    end
  end)
end)

describe("a page is refused", function()
  local function assert_refused(text, ...)
    local arguments, count = { ... }, select("#", ...)
    assert.are.equal(
      "sendapi.page: " .. text,
      raising.text(function()
        local _ = page((table.unpack or unpack)(arguments, 1, count))
      end)
    )
  end

  it("without items", function()
    assert_refused "items: expected a sequence of objects, got a nil"
    assert_refused("items: expected a sequence of objects, got a string", "items")
  end)

  it("of items without an id", function()
    for _, item in ipairs { 1, "a", {}, { id = {} }, { id = true } } do
      assert_refused("items[2]: expected an object with an id", { { id = "1" }, item })
    end
  end)

  it("since something that is no id", function()
    for _, since_id in ipairs { {}, true, print } do
      local text = "since_id: expected a string or a number, got a " .. type(since_id)
      assert_refused(text, {}, since_id)
    end
  end)

  it("by a limit that is none", function()
    local whole = "limit: expected a whole number of at least 1"
    for _, limit in ipairs { 0, -1, 0.5, 1.5, -0.5, math.huge, -math.huge, 0 / 0 } do
      assert_refused(whole, {}, nil, limit)
    end
    for _, limit in ipairs { "10", {}, true, false } do
      assert_refused("limit: expected a number, got a " .. type(limit), {}, nil, limit)
    end
  end)
end)
