--- What the agent's screen knows after what has come in and gone out.
local cjson = require "cjson"
local new_state = require("sendapi.sandbox.state").new
local screen_state = require "spec.support.screen_state"

local INFO = {
  objects = { messages = { create = true, list = true, spam = true, delete = true } },
  options = { ["messages.unthreaded"] = true },
  locales = { default = { spam = "Spam!" } },
}

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

  local function names_after(number)
    local names = {}
    for i, event in ipairs(state.events:after(number)) do
      names[i] = event.name
    end
    return table.concat(names, " ")
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
end)
