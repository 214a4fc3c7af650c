--- What the agent's screen keeps at most, and what it makes of values of the wrong kind.
local cjson = require "cjson"
local encode = require "sendapi.sandbox.encode"
local new_state = require("sendapi.sandbox.state").new
local screen_state = require "spec.support.screen_state"

local user, message, said = screen_state.user, screen_state.message, screen_state.said

describe("the sandbox's state", function()
  local state

  before_each(function()
    state = screen_state.new()
  end)

  local function apply(params, action, at)
    return screen_state.apply(state, params, action, at)
  end

  local function thread(key)
    return screen_state.thread(state, key)
  end

  local function keys()
    return screen_state.keys(state)
  end

  describe("is bounded:", function()
    it("the threads that were active last", function()
      for i = 1, 3 do
        apply(message(tostring(i), "t" .. i))
      end
      apply(message("4", "t1"))
      apply(message("5", "t4"))
      assert.equal("plain:thread:t4 plain:thread:t1 plain:thread:t3", keys())
      assert.is_nil(state:thread "plain:thread:t2")
      apply({ id = "2" }, "status.mark_as_read")
      assert.equal(1, apply(message("2", "t2")).times)
    end)

    it("1,000 threads by default", function()
      state = new_state()
      for i = 1, 1003 do
        apply(message(tostring(i), "t" .. i))
      end
      assert.equal(1000, state.conversations.count)
      assert.is_nil(state:thread "plain:thread:t3")
      assert.is_table(state:thread "plain:thread:t4")
    end)

    it("the newest messages of a thread", function()
      for i = 1, 6 do
        apply(message(tostring(i), "42"))
      end
      local found, messages = thread "plain:thread:42"
      assert.same({ 4, 4, "3" }, { found.count, #messages, messages[1].id })
    end)

    it("the bytes of all messages, whole threads first", function()
      state = new_state { bytes = 40000 }
      for i = 1, 4 do
        apply(message("a" .. i, "old", { body = ("x"):rep(3000) }))
      end
      for i = 1, 12 do
        apply(message("b" .. i, "new", { body = ("x"):rep(3000) }))
      end
      assert.is_true(state.conversations.bytes <= 40000)
      assert.is_nil(state:thread "plain:thread:old")
      local found = said(state:thread "plain:thread:new")
      assert.equal("b12", found.messages[#found.messages].id)
      assert.is_true(#found.messages < 12)
    end)

    it("the length of bodies, files and names", function()
      local long = ("\195\169"):rep(200000)
      apply(message("1", "42", {
        body = long,
        attachments = { { content = long, filename = "f" }, { content = "YQ==", filename = "g" } },
      }))
      apply(message("2", "42", { author = user("c", { context_data = { a = long:rep(3) } }) }))
      apply(message("3", ("t"):rep(1000)))
      apply(message("4", "#1"))
      local found, messages = thread "plain:thread:42"
      assert.same({ true, 262144 }, { messages[1].partial, #messages[1].body })
      assert.is_nil(messages[1].attachments[1].content)
      assert.same({ 300000, "YQ==" }, {
        messages[1].attachments[1].bytes,
        messages[1].attachments[2].content,
      })
      assert.same({ id = "c", screenname = "Name of c" }, messages[2].author)
      assert.is_true(#found.last.text <= 300)
      assert.equal("plain:thread:#2 plain:thread:#1 plain:thread:42", keys())
    end)

    it("what events keep of the messages and threads that are forgotten", function()
      state = new_state { limit = 1 }
      local long = ("x"):rep(100000)
      apply({ id = "1", title = long, actions = { long }, author = user "c" }, "threads.create")
      apply(message("2" .. long, "1", { body = "begin" .. long }))
      apply(message("3", "4" .. long, { body = "short" }))
      apply(message("5", "6"))
      local sizes = {}
      for i, event in ipairs(state.events:after(0)) do
        sizes[i] = #encode.json(event.data())
      end
      assert.is_true(math.max((unpack or table.unpack)(sizes)) < 4000)
      local second = said(state.events:after(2)[1].data()).message
      assert.same({ true, "begin", "c" }, {
        second.partial,
        second.body:sub(1, 5),
        second.author.id,
      })
      assert.equal("short", said(state.events:after(4)[1].data()).message.body)
    end)

    it("who types, and what is seen of it", function()
      for i = 1, 25 do
        apply(message("m" .. i, "42", { author = user("u" .. i) }))
      end
      local long = ("\195\169"):rep(2000)
      for i = 22, 25 do
        apply({ in_reply_to_id = "m" .. i, preview = long }, "typing.start")
      end
      local typing = thread("plain:thread:42").typing
      assert.same({ 4, 1000 }, { #typing, #typing[1].preview })
      state = new_state()
      for i = 1, 25 do
        apply(message("m" .. i, "42", { author = user("u" .. i) }))
      end
      for i = 1, 25 do
        apply({ in_reply_to_id = "m" .. i, preview = "p" }, "typing.start")
      end
      assert.equal(20, #thread("plain:thread:42").typing)
    end)

    it("the users of a thread", function()
      state = new_state()
      for i = 1, 60 do
        apply(message(tostring(i), "42", { author = user("u" .. i, { email = "e" }) }))
      end
      assert.equal(20, #thread("plain:thread:42").users)
      assert.equal(50, #state:find("plain:thread:42").user_ids)
    end)
  end)

  it("passes over what has another type than it should", function()
    local odd = {
      id = 5,
      thread_id = 42,
      body = { "b" },
      author = "me",
      attachments = { a = 1 },
      actions = "spam",
      categories = 7,
      structured_content = {},
      structured_reply = "r",
      recipient = { 1 },
      in_reply_to_id = {},
      created_at = 12.5,
    }
    for _, object in ipairs { "messages", "private_messages", "threads" } do
      local copy = cjson.decode(cjson.encode(odd))
      assert.equal("5", state:take("plain", object, copy, 100).id)
    end
    local _, messages = thread "plain:thread:42"
    assert.same({ "5", "12.5", {}, {} }, {
      messages[1].id,
      messages[1].created_at,
      messages[1].attachments,
      messages[1].actions,
    })
    assert.is_nil(messages[1].body)
    assert.is_nil(messages[1].author)
    for _, params in ipairs { {}, { id = {} }, { id = cjson.null }, { id = true } } do
      assert.is_nil(state:take("plain", "messages", params, 100))
      apply(params, "status.mark_as_read")
      apply(params, "typing.start")
    end
  end)

  it("takes a size for one only where it is a number", function()
    local files = {}
    for i, bytes in ipairs { "nan", "inf", "0x10", "7", { 7 }, 7 } do
      files[i] = { filename = "f", bytes = bytes }
    end
    apply(message("1", "42", { attachments = files }))
    local _, messages = thread "plain:thread:42"
    for i = 1, 5 do
      assert.is_nil(messages[1].attachments[i].bytes)
    end
    assert.equal(7, messages[1].attachments[6].bytes)
  end)

  it("leaves out what cannot be said as JSON, or is very deep", function()
    local deep = {}
    for _ = 1, 40 do
      deep = { deep }
    end
    for i, odd in ipairs { { type = math.huge }, { type = 0 / 0 }, { a = deep } } do
      local more = { structured_content = odd, attachments = { odd }, author = odd }
      local request = i == 3
        and cjson.encode { action = "messages.create", params = message("d", "42", more) }
      state:apply("plain", "messages.create", message("o" .. i, "42", more), 100, request or nil)
    end
    local found, messages = thread "plain:thread:42"
    assert.equal(3, found.count)
    for _, one in ipairs(messages) do
      assert.same({ true, {} }, { one.partial, one.attachments })
      assert.is_nil(one.structured_content or one.author)
    end
    state:source("plain", {
      info = {
        objects = {},
        options = {},
        locales = { default = { a = deep, b = "B", c = math.huge }, fr = deep, de = "x" },
      },
    })
    local source = said(state:snapshot()).sources[1]
    assert.same({ default = { b = "B" }, fr = {} }, source.info.locales)
  end)

  it("finds messages by number, newest last", function()
    for i = 1, 3 do
      apply(message(tostring(i), "t" .. i))
    end
    local function numbers(since, most)
      local list = {}
      local function any()
        return true
      end
      for i, one in ipairs(state.conversations:after(since, any, most)) do
        list[i] = one.n
      end
      return list
    end
    assert.same({ 1, 2, 3 }, numbers(0, 10))
    assert.same({ 2, 3 }, numbers(0, 2))
    assert.same({ 3 }, numbers(2, 10))
    assert.same({}, numbers(3, 10))
    state:clear()
    assert.same({}, numbers(0, 10))
  end)
end)
