-- `sendapi.validate`: every problem at once, errors and warnings apart.
local cjson = require "cjson"
local encoding = require "spec.support.encoding"
local raising = require "spec.support.raising"
local sendapi = require "sendapi"

local message, structured, user = encoding.message, encoding.structured, encoding.user
local NONE = encoding.NONE

--- "severity code message" of each problem, sorted.
local function described(problems)
  local lines = {}
  for i, problem in ipairs(problems) do
    lines[i] = ("%s %s %s"):format(
      problem.severity,
      problem.code,
      encoding.described(problem)
    )
  end
  table.sort(lines)
  return lines
end

local function assert_valid(action, params, options)
  local valid, problems = sendapi.validate(action, params, options)
  assert.are.same({}, problems)
  assert.is_true(valid)
end

local function assert_warned(expected, action, params, options)
  local valid, problems = sendapi.validate(action, params, options)
  for i, line in ipairs(expected) do
    expected[i] = "warning warning params" .. line
  end
  table.sort(expected)
  assert.are.same(expected, described(problems))
  assert.is_true(valid)
end

local function assert_invalid(expected, action, params, options)
  local valid, problems = sendapi.validate(action, params, options)
  for i, line in ipairs(expected) do
    expected[i] = line:gsub("^%f[.:[]", "error invalid_params params")
  end
  table.sort(expected)
  assert.are.same(expected, described(problems))
  assert.is_nil(valid)
end

describe("params are valid", function()
  local valid = {
    ["messages.create"] = message(),
    ["private_messages.create"] = encoding.private_message(),
    ["threads.create"] = encoding.thread(),
    ["users.create"] = user(),
    ["status.mark_as_read"] = { id = "1" },
    ["typing.start"] = { thread_id = "1", preview = "p" },
    ["typing.stop"] = { in_reply_to_id = "1" },
  }
  for action, params in pairs(valid) do
    it("of " .. action, function()
      assert_valid(action, params)
    end)
  end

  it("with all that the documents allow", function()
    local items = {}
    for i = 1, 13 do
      items[i] = { title = ("t"):rep(80), payload = ("é"):rep(1000) }
    end
    assert_valid(
      "messages.create",
      structured({ type = "select", items = items }, {
        body = ("日"):rep(20000),
        display_url = "HTTPS://" .. ("u"):rep(2040),
        format = "html",
        author = encoding.agent { gender = "man", avatar_url = "http://a" },
        context_data = { ["a-b_C"] = "1", d = { "2", "3" } },
      })
    )
  end)

  it("as the source's options relax them", function()
    local unthreaded = { source_options = { "messages.unthreaded" } }
    assert_valid("messages.create", message { thread_id = NONE }, unthreaded)
    assert_valid("threads.create", { id = "1" }, { source_options = { "threads.no_content" } })
    assert_invalid({ ".thread_id: is missing" }, "messages.create", message { thread_id = NONE })
  end)

  it("with fields that the schema does not know, when these may pass", function()
    local params = message { x = 1, author = user { y = { 2 } } }
    assert_valid("messages.create", params, { extra_fields = true })
    assert_invalid(
      { ".x: unknown field", ".author.y: unknown field" },
      "messages.create",
      params,
      { extra_fields = false }
    )
  end)

  it("and need no server to be named", function()
    assert_valid("users.create", user(), { timeout = 1 })
  end)
end)

describe("a warning is given", function()
  it("for texts that are too long, counted in characters", function()
    assert_warned(
      { ".body: has 20001 characters, the documents allow 20000" },
      "messages.create",
      message { body = ("é"):rep(20001) }
    )
    assert_warned({
      ".structured_content.title: has 351 characters, the documents allow 350",
      ".structured_content.subtitle: has 1001 characters, the documents allow 1000",
      ".structured_content.url_text: has 81 characters, the documents allow 80",
      ".structured_content.items[1].title: has 81 characters, the documents allow 80",
      ".structured_content.items[1].payload: has 1001 characters, the documents allow 1000",
    }, "messages.create", structured {
      type = "template",
      title = ("😀"):rep(351),
      subtitle = ("s"):rep(1001),
      url_text = ("l"):rep(81),
      items = { { type = "reply", title = ("t"):rep(81), payload = ("p"):rep(1001) } },
    })
  end)

  it("for too many items", function()
    local items, buttons = {}, {}
    for i = 1, 14 do
      items[i] = { title = "t" }
    end
    for i = 1, 5 do
      buttons[i] = { type = "reply", title = "t" }
    end
    assert_warned(
      { ".structured_content.items: has 14 items, the documents allow 13" },
      "messages.create",
      structured { type = "select", items = items }
    )
    table.remove(items)
    items[11] = { title = "t", items = buttons }
    assert_warned({
      ".structured_content.items: has 13 items, the documents allow 10",
      ".structured_content.items[11].items: has 5 items, the documents allow 4",
    }, "messages.create", structured { type = "carousel", items = items })
  end)

  it("for urls of another kind, or too long", function()
    local odd = ": is neither an http nor an https url"
    assert_warned({
      ".display_url" .. odd,
      ".attachments[1].url" .. odd,
      ".author.avatar_url" .. odd,
      ".structured_content.url" .. odd,
      ".structured_content.attachment_url: has 2049 characters, the documents allow 2048",
    }, "messages.create", structured({
      type = "rich_link",
      title = "t",
      url = "github://a",
      attachment_url = "https://" .. ("a"):rep(2041),
    }, {
      display_url = "www.example.com",
      attachments = { { url = "file:///etc/passwd" } },
      author = encoding.agent { avatar_url = "http:/a" },
    }))
  end)

  it("for values that the documents do not list", function()
    local odd = " is none of the values in the documents"
    assert_warned(
      {
        ".format: 'markdown'" .. odd,
        ".author.gender: 'M?n'" .. odd,
        ".attachments[1].type: ''" .. odd,
      },
      "messages.create",
      message {
        format = "markdown",
        author = user { gender = "M\1n" },
        attachments = { { url = "https://a", type = "" } },
      }
    )
  end)

  it("for values that the documents do not list, as numbers too", function()
    local odd = " is none of the values in the documents"
    assert_warned({ ".format: '5'" .. odd }, "messages.create", message { format = 5 })
  end)

  it("for names in context_data that are no words", function()
    local odd = "' is not made of letters and '-'"
    assert_warned(
      {
        ".context_data: the key 'a b" .. odd,
        ".context_data: the key 'a1" .. odd,
        ".context_data: the key '" .. odd,
        ".context_data: the key '??" .. odd,
      },
      "messages.create",
      message { context_data = { ["a b"] = "", a1 = "", [""] = "", ["é"] = "", fine = "" } }
    )
  end)

  it("by validate alone, never by a call", function()
    local params = message { format = "markdown", display_url = "x", body = ("b"):rep(20001) }
    assert.is_string(encoding.bytes("messages.create", params))
  end)
end)

describe("every problem is told", function()
  it("at once, with its place", function()
    assert_invalid(
      {
        ".id: is missing",
        ".author.screenname: is missing",
        ".author.created_at: must not be empty",
        ".author.puppetizable: expected a boolean, got string",
        ".author.emial: unknown field, did you mean 'email'?",
        ".attachments[1].url: is missing, unless there is 'content'",
        ".attachments[3].filename: is missing",
        ".categories[2]: expected a string, got boolean",
        ".context_data.a[1]: expected a string, got table",
        ".created_at: expected epoch seconds within the years 1 to 9999",
        ".ip: is not valid UTF-8",
        ".thread: unknown field, did you mean 'thread_id'?",
        "warning warning params.format: 'rtf' is none of the values in the documents",
      },
      "messages.create",
      {
        author = { id = "1", created_at = "", puppetizable = "yes", emial = "e" },
        attachments = { {}, { url = "https://a" }, { content = "AA==" } },
        body = "b",
        categories = { "a", true },
        context_data = { a = { { "x" } } },
        created_at = 0 / 0,
        format = "rtf",
        ip = "\255",
        thread = "t",
        thread_id = "1",
      }
    )
  end)

  it("of params that are no table", function()
    for name, value in pairs { string = "x", number = 1, boolean = false, userdata = cjson.null } do
      assert_invalid({ ": expected a table, got " .. name }, "users.create", value)
    end
    assert_invalid({ ": expected a table, got nil" }, "users.create", nil)
  end)

  it("of an empty table", function()
    assert_invalid({
      ".id: is missing",
      ".author: is missing",
      ".body: is missing, unless there is 'attachments'",
      ".thread_id: is missing",
    }, "messages.create", {})
  end)

  it("and one error makes params invalid, whatever the warnings", function()
    local valid, problems = sendapi.validate("messages.create", message { format = "x", ip = {} })
    assert.is_nil(valid)
    assert.are.equal(2, #problems)
  end)
end)

describe("of problems in great number", function()
  local function wrong_categories(count)
    local categories = {}
    for i = 1, count do
      categories[i] = false
    end
    return categories
  end

  it("100 are told", function()
    local params = message { categories = wrong_categories(100) }
    local valid, problems = sendapi.validate("messages.create", params)
    assert.is_nil(valid)
    assert.are.equal(100, #problems)
    params = message { categories = wrong_categories(5000) }
    valid, problems = sendapi.validate("messages.create", params)
    assert.is_nil(valid)
    assert.are.equal(100, #problems)
    for i, problem in ipairs(problems) do
      assert.are.equal(("params.categories[%d]"):format(i), problem.field)
    end
  end)

  it("errors are told before warnings are left out", function()
    local attachments = {}
    for i = 1, 200 do
      attachments[i] = { url = "odd" }
    end
    local params = message { attachments = attachments, ip = {} }
    local valid, problems = sendapi.validate("messages.create", params)
    assert.is_nil(valid)
    local errors = {}
    for _, problem in ipairs(problems) do
      errors[#errors + 1] = problem.severity == "error" and problem.field or nil
    end
    assert.are.same({ "params.ip" }, errors)
  end)
end)

describe("validate itself is misused", function()
  local misuses = {
    {
      "with an action that there is not",
      "sendapi.validate: there is no action 'messages.creat', did you mean 'messages.create'?",
      function()
        sendapi.validate("messages.creat", {})
      end,
    },
    {
      "with an action that is like none",
      "sendapi.validate: there is no action 'x'",
      function()
        sendapi.validate("x", {})
      end,
    },
    {
      "without an action",
      "sendapi.validate: there is no action 'nil'",
      function()
        sendapi.validate()
      end,
    },
    {
      "with an option that there is not",
      "sendapi.validate: unknown option 'extra_field', did you mean 'extra_fields'?",
      function()
        sendapi.validate("users.create", {}, { extra_field = true })
      end,
    },
    {
      "with options that are no table",
      "sendapi.validate: options: expected a table, got a boolean",
      function()
        sendapi.validate("users.create", {}, true)
      end,
    },
  }
  for _, misuse in ipairs(misuses) do
    it(misuse[1], function()
      assert.are.equal(misuse[2], raising.text(misuse[3]))
    end)
  end
end)
