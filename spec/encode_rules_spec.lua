-- What must be there, by what rule, and what is said of what is missing, misspelt or not known.
local cjson = require "cjson"
local core = require "sendapi.core"
local encoding = require "spec.support.encoding"

local agent, message, user = encoding.agent, encoding.message, encoding.user
local private_message, thread = encoding.private_message, encoding.thread
local structured = encoding.structured
local NONE = encoding.NONE

local function assert_accepted(action, params, options)
  local written, problem = encoding.encode(action, params, options)
  assert.is_truthy(written, problem and problem.message)
end

local function assert_refused(expected, action, params, options)
  local found = encoding.problem(action, params, options)
  assert.are.equal("invalid_params", found.code)
  assert.are.equal("error", found.severity)
  assert.are.equal("params" .. expected, encoding.described(found))
end

describe("a required field", function()
  local required = {
    ["messages.create"] = { message, { "id", "thread_id", "author" } },
    ["private_messages.create"] = { private_message, { "id", "author", "recipient" } },
    ["threads.create"] = { thread, { "id", "author", "body" } },
    ["users.create"] = { user, { "id", "created_at", "screenname" } },
    ["status.mark_as_read"] = {
      function(changes)
        return { id = changes.id == nil and "1" or changes.id ~= NONE and changes.id or nil }
      end,
      { "id" },
    },
  }
  for action, case in pairs(required) do
    for _, name in ipairs(case[2]) do
      it("must be there: " .. name .. " of " .. action, function()
        assert_refused("." .. name .. ": is missing", action, case[1] { [name] = NONE })
      end)
      it("must not be null: " .. name .. " of " .. action, function()
        assert_refused("." .. name .. ": is missing", action, case[1] { [name] = cjson.null })
      end)
      it("must not be empty: " .. name .. " of " .. action, function()
        local empty = (name == "author" or name == "recipient") and {} or ""
        assert_refused("." .. name .. ": must not be empty", action, case[1] { [name] = empty })
      end)
    end
  end

  it("may be 0 or false", function()
    assert_accepted("messages.create", message { id = 0, author = user { id = 0 } })
    assert_accepted("users.create", user { created_at = 0, puppetizable = false })
  end)

  it("is missed where it stands", function()
    local unnamed = user { screenname = NONE }
    local params = message { author = unnamed }
    assert_refused(".author.screenname: is missing", "messages.create", params)
    assert_refused(
      ".recipient.screenname: is missing",
      "private_messages.create",
      private_message { recipient = unnamed }
    )
    assert_refused(
      ".author.created_at: must not be empty",
      "threads.create",
      thread { author = user { created_at = "" } }
    )
  end)

  it("is missed in the schema's order", function()
    assert_refused(".id: is missing", "messages.create", {})
    assert_refused(".author: is missing", "messages.create", { id = "1" })
    assert_refused(
      ".body: is missing, unless there is 'attachments'",
      "messages.create",
      { id = "1", author = user() }
    )
    assert_refused(
      ".thread_id: is missing",
      "messages.create",
      { id = "1", author = user(), body = "b" }
    )
  end)
end)

describe("a body", function()
  for action, make in pairs {
    ["messages.create"] = message,
    ["private_messages.create"] = private_message,
  } do
    it("may be missing where there are attachments: " .. action, function()
      assert_accepted(action, make { body = NONE, attachments = { { url = "u" } } })
      assert_accepted(action, make { body = "", attachments = { { url = "u" } } })
      assert_accepted(action, make { body = "b", attachments = { { url = "u" } } })
    end)

    it("is missed where attachments are missing, null or empty: " .. action, function()
      for _, none in ipairs { NONE, cjson.null, {} } do
        local expected = ".body: is missing, unless there is 'attachments'"
        assert_refused(expected, action, make { body = NONE, attachments = none })
        expected = ".body: must not be empty, unless there is 'attachments'"
        assert_refused(expected, action, make { body = "", attachments = none })
      end
    end)
  end

  it("of a thread is needed whatever else there is", function()
    assert_refused(
      ".attachments: unknown field",
      "threads.create",
      thread { body = NONE, attachments = { { url = "u" } } }
    )
  end)
end)

describe("typing", function()
  local no_place = ".thread_id: is missing, unless there is 'in_reply_to_id'"

  it("is for a thread, for a message, or for both", function()
    for _, place in ipairs {
      { thread_id = "1" },
      { in_reply_to_id = "2" },
      { thread_id = "1", in_reply_to_id = "2" },
      { thread_id = "", in_reply_to_id = "2" },
      { thread_id = 1, in_reply_to_id = cjson.null },
    } do
      assert_accepted("typing.stop", place)
      place.preview = "p"
      assert_accepted("typing.start", place)
    end
  end)

  it("is for one of them", function()
    assert_refused(no_place, "typing.start", { preview = "p" })
    assert_refused(no_place, "typing.stop", {})
    assert_refused(no_place, "typing.stop", { in_reply_to_id = "" })
    assert_refused(no_place, "typing.stop", { thread_id = cjson.null, in_reply_to_id = cjson.null })
  end)

  it("has a preview when it starts, and only then", function()
    assert_refused(".preview: is missing", "typing.start", { thread_id = "1" })
    assert_refused(".preview: must not be empty", "typing.start", { thread_id = "1", preview = "" })
    assert_refused(".preview: unknown field", "typing.stop", { thread_id = "1", preview = "p" })
  end)
end)

describe("an attachment", function()
  local function assert_attachment_refused(expected, attachment)
    local params = message { attachments = { { url = "u" }, attachment } }
    assert_refused(".attachments[2]" .. expected, "messages.create", params)
  end

  it("is a url, or content with a filename", function()
    for written, attachment in pairs {
      ['{"url":"u"}'] = { url = "u" },
      ['{"url":"u","filename":"f","type":"video"}'] = { type = "video", filename = "f", url = "u" },
      ['{"content":"AA==","filename":"f"}'] = { filename = "f", content = "AA==" },
      ['{"url":"u","content":"AA==","filename":"f","type":"audio"}'] = {
        url = "u",
        content = "AA==",
        filename = "f",
        type = "audio",
      },
    } do
      local bytes = encoding.bytes("messages.create", message { attachments = { attachment } })
      assert.is_truthy(bytes:find('"attachments":[' .. written .. "]", 1, true), bytes)
    end
  end)

  it("is refused without", function()
    local neither = ".url: is missing, unless there is 'content'"
    assert_attachment_refused(neither, {})
    assert_attachment_refused(neither, { filename = "f", type = "audio" })
    assert_attachment_refused(neither, { content = cjson.null })
    assert_attachment_refused(".url: must not be empty, unless there is 'content'", { url = "" })
    assert_attachment_refused(".filename: is missing", { content = "AA==" })
    assert_attachment_refused(".filename: must not be empty", { content = "AA==", filename = "" })
    assert_attachment_refused(".filename: is missing", { url = "u", content = "AA==" })
  end)

  it("needs a filename only for content that is not empty", function()
    assert_accepted("messages.create", message { attachments = { { url = "u", content = "" } } })
  end)

  it("is neither a text nor any userdata", function()
    assert_attachment_refused(": expected a table, got string", "u")
    assert_attachment_refused(": expected a table, got userdata", io.stdout)
    assert_attachment_refused(": expected a table, got userdata", cjson.null)
  end)
end)

describe("the source's options relax", function()
  local function with(...)
    return { source_options = { ... } }
  end

  it("messages.unthreaded: the thread of a message", function()
    local params = message { thread_id = NONE }
    assert_accepted("messages.create", params, with "messages.unthreaded")
    assert_accepted("messages.create", message(), with "messages.unthreaded")
    assert_accepted("messages.create", params, with("messages.text", "messages.unthreaded"))
  end)

  it("threads.no_content: author and body of a thread", function()
    assert_accepted("threads.create", { id = "1" }, with "threads.no_content")
    assert_accepted("threads.create", { id = "1", body = "b" }, with "threads.no_content")
    assert_accepted("threads.create", thread(), with "threads.no_content")
  end)

  it("nothing else", function()
    for _, options in ipairs {
      {},
      with(),
      with "threads.no_content",
      with "messages.unthreade",
      with "MESSAGES.UNTHREADED",
      with "",
    } do
      local params = message { thread_id = NONE }
      assert_refused(".thread_id: is missing", "messages.create", params, options)
    end
    assert_refused(
      ".author: is missing",
      "threads.create",
      { id = "1" },
      with("messages.unthreaded", "threads.text")
    )
    assert_refused(
      ".thread_id: is missing, unless there is 'in_reply_to_id'",
      "typing.stop",
      {},
      with("messages.unthreaded", "threads.no_content")
    )
    assert_refused(".id: is missing", "threads.create", {}, with "threads.no_content")
    assert_refused(
      ".author.id: is missing",
      "threads.create",
      { id = "1", author = user { id = NONE } },
      with "threads.no_content"
    )
  end)
end)

describe("structured content needs a puppetizable author", function()
  local content = { type = "select", items = { { title = "a" } } }
  local needed = ".author.puppetizable: must be true where there is 'structured_content'"

  it("on messages and private messages", function()
    assert_accepted("messages.create", structured(content))
    assert_accepted(
      "private_messages.create",
      private_message { author = agent(), structured_content = content }
    )
  end)

  it("and is refused with another", function()
    for _, puppetizable in ipairs { NONE, false, cjson.null } do
      local author = agent { puppetizable = puppetizable }
      assert_refused(needed, "messages.create", structured(content, { author = author }))
      local params = private_message { author = author, structured_content = content }
      assert_refused(needed, "private_messages.create", params)
    end
  end)

  it("and is refused without any, or with a wrong one", function()
    assert_refused(
      ".author: is missing",
      "messages.create",
      structured(content, { author = NONE })
    )
    assert_refused(
      ".author.puppetizable: expected a boolean, got string",
      "messages.create",
      structured(content, { author = agent { puppetizable = "true" } })
    )
  end)

  it("but is absent when it is null or empty", function()
    for _, none in ipairs { NONE, cjson.null, {} } do
      local params = message { structured_content = none }
      assert_accepted("messages.create", params)
    end
  end)

  it("and a recipient does not do for an author", function()
    local params = private_message { recipient = agent(), structured_content = content }
    assert_refused(needed, "private_messages.create", params)
  end)
end)

describe("an unknown field", function()
  local misspelt = {
    { { threadid = "1" }, ".threadid", "thread_id" },
    { { Body = "b" }, ".Body", "body" },
    { { THREAD_ID = "b" }, ".THREAD_ID", "thread_id" },
    { { bdoy = "b" }, ".bdoy", "body" },
    { { in_replyto_id = "1" }, ".in_replyto_id", "in_reply_to_id" },
    { { category = "c" }, ".category", "categories" },
    { { author = user { screen_name = "s" } }, ".author.screen_name", "screenname" },
    { { author = user { fristname = "s" } }, ".author.fristname", "firstname" },
    { { attachments = { { ulr = "u" } } }, ".attachments[1].ulr", "url" },
    {
      { attachments = { { url = "u" }, { url = "u", file_name = "f" } } },
      ".attachments[2].file_name",
      "filename",
    },
    { { structured_reply = { paylod = "p" } }, ".structured_reply.paylod", "payload" },
  }
  for _, case in ipairs(misspelt) do
    it("is refused with a suggestion: " .. case[2], function()
      local expected = case[2] .. ": unknown field, did you mean '" .. case[3] .. "'?"
      assert_refused(expected, "messages.create", message(case[1]))
    end)
  end

  for _, name in ipairs { "priority", "x", "", "very_long_name_of_nothing_in_particular", "日本" } do
    it("is refused without one when nothing is near: " .. name, function()
      local found = encoding.problem("messages.create", message { [name] = "1" })
      assert.is_truthy(found.message:find(": unknown field$"), found.message)
    end)
  end

  it("is refused though it is null", function()
    assert_refused(".priority: unknown field", "messages.create", message { priority = cjson.null })
  end)

  it("is refused by the schema of its action", function()
    assert_refused(".title: unknown field", "messages.create", message { title = "t" })
    assert_accepted("threads.create", thread { title = "t" })
    local found = encoding.problem("private_messages.create", private_message { thread_id = "1" })
    assert.are.equal("params.thread_id", found.field)
    found = encoding.problem("messages.create", message { recipient = user() })
    assert.are.equal("params.recipient", found.field)
  end)

  it("passes with extra_fields, at every depth", function()
    local extra_fields = { extra_fields = true }
    for _, case in ipairs(misspelt) do
      if not case[2]:find "ulr" then
        assert_accepted("messages.create", message(case[1]), extra_fields)
      end
    end
  end)
end)

describe("a field with a default", function()
  local text = { kind = "string" }
  local fields = {
    { "a", text },
    { "b", { kind = "array", of = text }, default = '["x"]' },
    { "c", text },
    { "d", text, default = '""' },
  }

  local function encode(value, extra_fields)
    return core.compile({ kind = "object", fields = fields }, { extra_fields = extra_fields })
      :encode(value)
  end

  it("is written in its place where it is absent or null", function()
    assert.are.equal('{"b":["x"],"d":""}', encode {})
    assert.are.equal('{"a":"1","b":["x"],"c":"2","d":""}', encode { a = 1, c = 2 })
    assert.are.equal('{"b":["x"],"d":"4"}', encode { b = cjson.null, d = 4 })
  end)

  it("is what it is otherwise, empty too", function()
    assert.are.equal('{"b":[],"d":""}', encode { b = {} })
    assert.are.equal('{"b":["y"],"d":"4"}', encode { b = { "y" }, d = 4 })
  end)

  it("goes before what the schema does not know", function()
    assert.are.equal('{"b":["x"],"d":"","e":1}', encode({ e = 1 }, true))
  end)
end)
