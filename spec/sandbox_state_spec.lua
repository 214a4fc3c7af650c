--- What the agent's screen knows after what has come in and gone out.
local cjson = require "cjson"
local encode = require "sendapi.sandbox.encode"
local new_state = require("sendapi.sandbox.state").new

local INFO = {
  objects = { messages = { create = true, list = true, spam = true, delete = true } },
  options = { ["messages.unthreaded"] = true },
  locales = { default = { spam = "Spam!" } },
}

local function user(id, more)
  local made = { id = id, screenname = "Name of " .. id, created_at = "d" }
  for name, value in pairs(more or {}) do
    made[name] = value
  end
  return made
end

local function message(id, thread, more)
  local made = { id = id, thread_id = thread, body = "body of " .. id, author = user "c" }
  for name, value in pairs(more or {}) do
    made[name] = value
  end
  return made
end

--- As the interface says it.
local function said(value)
  return cjson.decode(encode.json(value))
end

describe("the sandbox's state", function()
  local state

  before_each(function()
    state = new_state { limit = 3, messages = 4 }
    state:source("plain", { name = "Plain" })
  end)

  local function apply(params, action, at)
    return state:apply("plain", action or "messages.create", params, at or 100)
  end

  local function thread(key)
    local found = state:thread(key)
    return found and said(found.thread), found and said(found.messages)
  end

  local function names_after(number)
    local names = {}
    for i, event in ipairs(state.events:after(number)) do
      names[i] = event.name
    end
    return table.concat(names, " ")
  end

  local function keys()
    local list = {}
    for i, one in ipairs(said(state:snapshot()).threads) do
      list[i] = one.key
    end
    return table.concat(list, " ")
  end

  it("names the authors of a thread in the order in which they came", function()
    for _, id in ipairs { "zoe", "a", "mia", "a", "bob" } do
      apply(message("1" .. id, "42", { author = user(id) }))
    end
    local ids = {}
    for i, author in ipairs(thread("plain:thread:42").users) do
      ids[i] = author.id
    end
    assert.same({ "zoe", "a", "mia", "bob" }, ids)
  end)

  it("shows a message in its thread", function()
    apply(message("1", "42", { created_at = "then", format = "text", in_reply_to_id = "0" }))
    local found, messages = thread "plain:thread:42"
    assert.same({ "plain", "42", "thread", 1, 1 }, {
      found.source,
      found.id,
      found.kind,
      found.count,
      found.unread,
    })
    assert.same({ text = "body of 1", at = 100, author = user "c" }, found.last)
    assert.equal("c", found.users[1].id)
    assert.equal(1, #messages)
    assert.same({ 1, "1", "customer", "received", "messages", "then", "text", "0", 100, 1 }, {
      messages[1].n,
      messages[1].id,
      messages[1].from,
      messages[1].state,
      messages[1].object,
      messages[1].created_at,
      messages[1].format,
      messages[1].in_reply_to_id,
      messages[1].received_at,
      messages[1].times,
    })
    assert.equal("source message thread", names_after(0))
  end)

  it("shows a message that came twice as one, with its newest words", function()
    apply(message("1", "42"))
    apply(message("1", "42", { body = "other", author = cjson.null }))
    local found, messages = thread "plain:thread:42"
    assert.same({ 1, 1 }, { found.count, found.unread })
    assert.same({ 2, "other", "c" }, { messages[1].times, messages[1].body, messages[1].author.id })
    assert.equal("message", names_after(3))
  end)

  it("keeps objects and sources apart that have the same ids", function()
    state:source("second", {})
    apply(message("1", "42"))
    apply(message("1", nil, { recipient = user "d" }), "private_messages.create")
    state:apply("second", "messages.create", message("1", "42"), 100)
    assert.equal("second:thread:42 plain:private:c d plain:thread:42", keys())
  end)

  it("finds the thread of private messages by the pair, in either direction", function()
    apply(message("1", nil, { recipient = user "d" }), "private_messages.create")
    local back = message("2", nil, { author = user "d", recipient = user "c" })
    apply(back, "private_messages.create")
    assert.equal(2, thread("plain:private:c d").count)
    assert.equal("d", said(state:thread("plain:private:c d")).messages[1].recipient.id)
  end)

  it("keeps pairs apart whose ids look alike together", function()
    apply({ id = "1", author = user "a", recipient = user "b c" }, "private_messages.create")
    apply({ id = "2", author = user "a b", recipient = user "c" }, "private_messages.create")
    apply({ id = "3", author = user "3:a", recipient = user "b c" }, "private_messages.create")
    assert.equal(3, #said(state:snapshot()).threads)
  end)

  it("gives threads keys that can stand in a path, whatever their ids", function()
    state = new_state()
    state:source("plain", {})
    for i, id in ipairs { "a\0b", "a/../../b", "..", "a\nb", "\127", "https://a.example/b?c#d" } do
      local key = apply(message(tostring(i), id)).thread.key
      assert.is_nil(key:find "[%c/\\]", key)
      assert.equal(key, state:find(id).key)
    end
  end)

  it("finds the thread by the author where there are none", function()
    for _, settings in ipairs {
      { options = { "messages.unthreaded" } },
      { options = cjson.null, info = INFO },
    } do
      state:clear()
      state:source("plain", settings)
      apply(message("1", "42"))
      local agent = user("agent", { puppetizable = true })
      apply(message("2", nil, { author = agent, in_reply_to_id = "1" }))
      apply(message("3", nil, { author = agent, in_reply_to_id = "9" }))
      assert.equal("plain:author:agent plain:author:c", keys())
      local _, messages = thread "plain:author:c"
      assert.same({ "customer", "agent" }, { messages[1].from, messages[2].from })
    end
  end)

  it("shows the text and the title of a thread", function()
    apply(message("42", nil, { title = "T", actions = { "close_it" } }), "threads.create")
    apply(message("1", "42"))
    local found, messages = thread "plain:thread:42"
    assert.same({ "T", 2 }, { found.title, found.count })
    assert.same({ { name = "close_it", label = "Close it" } }, found.actions)
    assert.equal("threads", messages[1].object)
  end)

  it("takes a thread without a text, or an author", function()
    apply({ id = "42", title = "T" }, "threads.create")
    assert.equal("T", thread("plain:thread:42").title)
  end)

  it("tells of typing, until it stops, a message comes, or time is over", function()
    apply(message("1", "42"))
    local function type_something(at)
      local before = state.events.last
      apply({ thread_id = "42", preview = "hel" }, "typing.start", at)
      assert.equal("typing", names_after(before))
      local typing = thread("plain:thread:42").typing
      local known = { id = "c", screenname = "Name of c" }
      assert.same({ { user = known, preview = "hel" } }, typing)
      return state.events.last
    end
    local function assert_over(number, name)
      local over = state.events:after(number)
      assert.equal("typing", over[1].name)
      local known = { id = "c", screenname = "Name of c" }
      assert.same({ thread = "plain:thread:42", user = known, on = false }, said(over[1].data()))
      assert.equal(name or "typing", names_after(number))
      assert.same({}, thread("plain:thread:42").typing)
    end
    local number = type_something(100)
    apply({ thread_id = "42" }, "typing.stop")
    assert_over(number)
    number = type_something(100)
    apply(message("2", "42"))
    assert_over(number, "typing message thread")
    number = type_something(100)
    state:expire(109.9)
    assert.equal("", names_after(number))
    state:expire(110)
    assert_over(number)
    number = state.events.last
    state:expire(999)
    apply({ thread_id = "42" }, "typing.stop")
    assert.equal("", names_after(number))
  end)

  it("places typing by the message it answers, or in a thread that is new", function()
    apply(message("1", nil, { recipient = user "d" }), "private_messages.create")
    apply({ in_reply_to_id = "1", thread_id = "42", preview = "p" }, "typing.start")
    assert.equal(1, #thread("plain:private:c d").typing)
    apply({ in_reply_to_id = "9", preview = "p" }, "typing.start")
    apply({ in_reply_to_id = "9" }, "typing.stop")
    assert.equal("plain:private:c d", keys())
    apply({ thread_id = "43", preview = "p" }, "typing.start")
    assert.same({ 0, { { preview = "p" } } }, {
      thread("plain:thread:43").count,
      thread("plain:thread:43").typing,
    })
  end)

  it("marks what was read", function()
    apply(message("1", "42"))
    apply({ id = "1" }, "status.mark_as_read", 105)
    apply({ id = "9" }, "status.mark_as_read", 105)
    local event = state.events:after(3)
    assert.equal(1, #event)
    assert.same({ thread = "plain:thread:42", message = "1", at = 105 }, event[1].data())
    local _, messages = thread "plain:thread:42"
    assert.equal(105, messages[1].read_at)
  end)

  it("knows users before they say anything, the newest", function()
    for i = 1, 201 do
      apply(user("u" .. i, { puppetizable = true, context_data = { a = "b" } }), "users.create")
    end
    apply(user("u201", { screenname = "Other" }), "users.create")
    local users = said(state:snapshot()).users
    assert.same({ 200, "u2" }, { #users, users[1].id })
    assert.same({ id = "u201", screenname = "Other", source = "plain" }, users[200])
  end)

  it("takes what polling brings, new or known", function()
    state:take("plain", "messages", message("1", "42"), 100)
    state:take("plain", "messages", message("1", "42", { body = "newer" }), 101)
    local _, messages = thread "plain:thread:42"
    assert.same({ 1, 1, "newer" }, { #messages, messages[1].times, messages[1].body })
    apply(message("1", "42")) -- and the Send API the same for the first time
    apply(message("1", "42"))
    _, messages = thread "plain:thread:42"
    assert.equal(2, messages[1].times)
  end)

  it("follows a reply to its end", function()
    apply(message("1", "42"))
    local found = state:find "42"
    local params = { body = "hello", author = user "agent", attachments = { { url = "u" } } }
    local reply = state:reply(found, "messages", params, 101)
    assert.equal(0, thread("plain:thread:42").unread)
    local _, messages = thread "plain:thread:42"
    assert.same({ "agent", "sending", "hello" }, {
      messages[2].from,
      messages[2].state,
      messages[2].body,
    })
    assert.is_nil(messages[2].id)
    local number = state.events.last
    state:trying(reply, 1)
    state:trying(reply, 2)
    assert.equal("message", names_after(number))
    state:failed(reply, "why")
    _, messages = thread "plain:thread:42"
    assert.same({ "failed", "why", 2 }, { messages[2].state, messages[2].error, messages[2].tries })
    state:sent(reply, { id = 77, actions = { "spam" } })
    _, messages = thread "plain:thread:42"
    assert.same({ "sent", "77" }, { messages[2].state, messages[2].id })
    apply({ id = "77" }, "status.mark_as_read", 105)
    state:take("plain", "messages", message("77", "42"), 106)
    _, messages = thread "plain:thread:42"
    assert.same({ 2, 105 }, { #messages, messages[2].read_at })
  end)

  it("gives a thread that an agent began the id that the connector says", function()
    local begun = state.conversations:open("plain", "thread", "new 1", 100)
    local reply = state:reply(begun, "threads", { body = "b", title = "T" }, 100)
    state:sent(reply, { id = "42" })
    apply(message("1", "42"))
    assert.same({ "plain:thread:new 1", "42", 2, "T" }, {
      keys(),
      thread("plain:thread:new 1").id,
      thread("plain:thread:new 1").count,
      thread("plain:thread:new 1").title,
    })
    local other = state.conversations:open("plain", "thread", "new 2", 100)
    state:sent(state:reply(other, "threads", { body = "b" }, 100), { id = "42" })
    assert.equal("new 2", thread("plain:thread:new 2").id)
  end)

  it("offers the actions that the object has and the connector declares, with labels", function()
    apply(message("1", "42", { actions = { "spam", "show", "spam", 7, "mark_it", "delete" } }))
    local _, messages = thread "plain:thread:42"
    assert.same({
      { name = "spam", label = "Spam" },
      { name = "mark_it", label = "Mark it" },
      { name = "delete", label = "Delete" },
    }, messages[1].actions)
    state:source("plain", { info = INFO, options = {} })
    _, messages = thread "plain:thread:42"
    assert.same({
      { name = "spam", label = "Spam!" },
      { name = "delete", label = "Delete" },
    }, messages[1].actions)
  end)

  it("shows what an action made of an object", function()
    local one = apply(message("1", "42"))
    state:changed(one, "unpublish", { id = "1", body = "other", actions = { "publish" } })
    local _, messages = thread "plain:thread:42"
    assert.same({ "unpublished", "other", "c" }, {
      messages[1].removed,
      messages[1].body,
      messages[1].author.id,
    })
    state:changed(one, "spam", { id = "1" })
    assert.equal("unpublished", said(state:thread "plain:thread:42").messages[1].removed)
    state:changed(one, "publish", { id = "1" })
    assert.is_nil(said(state:thread "plain:thread:42").messages[1].removed)
    state:changed(one, "delete", { id = "1" })
    assert.equal("deleted", said(state:thread "plain:thread:42").messages[1].removed)
  end)

  it("forgets what was received, not the sources, and numbers go on", function()
    apply(message("1", "42"))
    apply(user "u", "users.create")
    apply({ thread_id = "42", preview = "p" }, "typing.start")
    state:clear()
    local snapshot = said(state:snapshot())
    assert.same({ {}, {}, "Plain" }, { snapshot.threads, snapshot.users, snapshot.sources[1].name })
    state:expire(999)
    assert.equal(2, apply(message("1", "42")).n)
    assert.equal(1, thread("plain:thread:42").count)
  end)

  it("does not know a reply again that was under way when all was forgotten", function()
    apply(message("1", "42"))
    local sent = state:reply(state:find "42", "messages", { body = "r" }, 101)
    state:clear()
    state:sent(sent, { id = "r1" })
    assert.is_nil(state.conversations:message("plain", "messages", "r1"))
    assert.equal(0, state.conversations.bytes)
    state:take("plain", "messages", message("r1", "42"), 102)
    assert.equal("plain:thread:42", keys())
  end)

  it("says a source without its fields for others", function()
    state:source("plain", { options = { "o" }, connector = "http://c/", interval = 5, info = INFO })
    local source = said(state:snapshot()).sources[1]
    assert.same({ "spam", 5, "http://c/", false }, {
      source.info.objects.messages[4],
      source.interval,
      source.connector,
      source.syncing,
    })
    state:source("plain", { connector = cjson.null })
    assert.is_nil(said(state:snapshot()).sources[1].connector)
  end)

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
