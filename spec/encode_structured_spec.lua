-- The four structured contents: how they are written, and what each must have.
local cjson = require "cjson"
local encoding = require "spec.support.encoding"

local structured = encoding.structured

local HEAD = '{"action":"messages.create","params":{"id":"1","author":{"id":"3","created_at":"d",'
  .. '"puppetizable":true,"screenname":"s"},"body":"b","structured_content":'

local function assert_written(expected, content)
  assert.are.equal(
    HEAD .. expected .. encoding.TAIL .. encoding.END,
    encoding.bytes("messages.create", structured(content))
  )
end

local function assert_refused(expected, content, options)
  local found = encoding.problem("messages.create", structured(content), options)
  assert.are.equal("invalid_params", found.code)
  assert.are.equal("params.structured_content" .. expected, encoding.described(found))
end

describe("structured content is written:", function()
  local written = {
    {
      "a select",
      { items = { { payload = "p", title = "a" }, { title = "b" } }, type = "select" },
      '{"type":"select","items":[{"title":"a","payload":"p"},{"title":"b"}]}',
    },
    {
      "a rich link with what it needs",
      { url = "https://u", title = "t", type = "rich_link" },
      '{"type":"rich_link","url":"https://u","title":"t"}',
    },
    {
      "a whole rich link",
      {
        attachment_url = "https://a",
        url_text = "l",
        subtitle = "s",
        title = "t",
        url = "github://u",
        type = "rich_link",
      },
      '{"type":"rich_link","url":"github://u","title":"t","subtitle":"s","url_text":"l",'
        .. '"attachment_url":"https://a"}',
    },
    {
      "a template with what it needs",
      { title = "t", type = "template" },
      '{"type":"template","title":"t"}',
    },
    {
      "a template whose buttons are none",
      { title = "t", type = "template", items = {} },
      '{"type":"template","title":"t","items":[]}',
    },
    {
      "a whole template",
      {
        items = {
          { payload = "p", title = "y", type = "reply" },
          { title = "z", type = "reply" },
          { url = "https://b", title = "w", type = "url" },
        },
        attachment_url = "https://a",
        url_text = "l",
        url = "https://u",
        subtitle = "s",
        title = "t",
        type = "template",
      },
      '{"type":"template","title":"t","subtitle":"s","url":"https://u","url_text":"l",'
        .. '"attachment_url":"https://a","items":[{"type":"reply","title":"y","payload":"p"},'
        .. '{"type":"reply","title":"z"},{"type":"url","title":"w","url":"https://b"}]}',
    },
    {
      "a carousel",
      {
        items = {
          { title = "t", attachment_fallback_id = 7 },
          {
            items = { { title = "w", url = "https://b", type = "url" } },
            attachment_fallback_id = "8",
            attachment_url = "https://a",
            url_text = "l",
            url = "https://u",
            subtitle = "s",
            title = "v",
          },
        },
        type = "carousel",
      },
      '{"type":"carousel","items":[{"title":"t","attachment_fallback_id":"7"},'
        .. '{"title":"v","subtitle":"s","url":"https://u","url_text":"l",'
        .. '"attachment_url":"https://a","items":[{"type":"url","title":"w",'
        .. '"url":"https://b"}],"attachment_fallback_id":"8"}]}',
    },
  }
  for _, case in ipairs(written) do
    it(case[1], function()
      assert_written(case[3], case[2])
    end)
  end

  it("however many items the documents allow", function()
    local items, expected = {}, {}
    for i = 1, 50 do
      items[i] = { title = i }
      expected[i] = ('{"title":"%d"}'):format(i)
    end
    local sequence = "[" .. table.concat(expected, ",") .. "]"
    for _, kind in ipairs { "select", "carousel" } do
      assert_written(
        ('{"type":"%s","items":%s}'):format(kind, sequence),
        { type = kind, items = items }
      )
    end
  end)
end)

describe("the type of structured content", function()
  it("must be there", function()
    assert_refused(".type: is missing", { title = "t" })
    assert_refused(".type: is missing", { type = "", title = "t" })
    assert_refused(".type: is missing", { type = cjson.null, title = "t" })
  end)

  for typed, near in pairs {
    carusel = "carousel",
    Select = "select",
    ["rich-link"] = "rich_link",
    richlink = "rich_link",
    templat = "template",
  } do
    it("is one of four, and which is suggested: " .. typed, function()
      assert_refused((".type: there is no '%s', did you mean '%s'?"):format(typed, near), {
        type = typed,
      })
    end)
  end

  it("is one of four", function()
    assert_refused(".type: there is no 'video'", { type = "video", title = "t" })
    assert_refused(".type: there is no 'x??y'", { type = "x\0\255y" })
    local long = ("x"):rep(1000000)
    assert_refused(".type: there is no '" .. ("x"):rep(60) .. "...'", { type = long })
  end)

  it("is a string", function()
    for _, value in ipairs { 5, true, {}, io.stdout } do
      local expected = ".type: expected a string, got " .. type(value)
      assert_refused(expected, { type = value, title = "t" })
    end
  end)

  it("stands in a table", function()
    assert_refused(": expected a table, got string", "select")
    assert_refused(": expected a table, got boolean", true)
    assert_refused(": expected a table, got userdata", io.stdout)
  end)
end)

describe("structured content must have", function()
  local function template(button)
    return { type = "template", title = "t", items = { { type = "reply", title = "u" }, button } }
  end

  local function carousel(item)
    return { type = "carousel", items = { { title = "t" }, item } }
  end

  local refused = {
    { ".items: is missing", { type = "select" } },
    { ".items: is missing", { type = "select", items = cjson.null } },
    { ".items: must not be empty", { type = "select", items = {} } },
    { ".items: expected a sequence, got string", { type = "select", items = "a" } },
    { ".items[1].title: is missing", { type = "select", items = { {} } } },
    { ".items[2].title: must not be empty", {
      type = "select",
      items = { { title = "a" }, { title = "" } },
    } },
    { ".items[1]: expected a table, got string", { type = "select", items = { "a" } } },
    { ".url: is missing", { type = "rich_link", title = "t" } },
    { ".url: must not be empty", { type = "rich_link", title = "t", url = "" } },
    { ".title: is missing", { type = "rich_link", url = "u" } },
    { ".title: is missing", { type = "template", url = "u" } },
    { ".title: must not be empty", { type = "template", title = "" } },
    { ".items[2].type: is missing", template { title = "t" } },
    { ".items[2].title: is missing", template { type = "reply" } },
    { ".items[2].url: is missing", template { type = "url", title = "t" } },
    { ".items[2].url: must not be empty", template { type = "url", title = "t", url = "" } },
    { ".items[2].url: is missing", template { type = "url", title = "t", url = cjson.null } },
    { ".items: is missing", { type = "carousel" } },
    { ".items: must not be empty", { type = "carousel", items = {} } },
    { ".items[2].title: is missing", carousel {} },
    { ".items[2].items[1].type: is missing", carousel { title = "t", items = { {} } } },
    {
      ".items[2].items[1].url: is missing",
      carousel { title = "t", items = { { type = "url", title = "t" } } },
    },
  }
  for i, case in ipairs(refused) do
    it("its fields (" .. i .. ")" .. case[1], function()
      assert_refused(case[1], case[2])
    end)
  end

  it("no url for a button that replies, or is of no known type", function()
    assert_written(
      '{"type":"template","title":"t","items":[{"type":"reply","title":"u"},'
        .. '{"type":"reply","title":"v","url":"w"}]}',
      template { type = "reply", title = "v", url = "w" }
    )
    assert_written(
      '{"type":"template","title":"t","items":[{"type":"reply","title":"u"},'
        .. '{"type":"call","title":"v"}]}',
      template { type = "call", title = "v" }
    )
  end)
end)

describe("structured content knows no", function()
  local unknown = {
    {
      ".titel: unknown field, did you mean 'title'?",
      { type = "template", title = "t", titel = "t" },
    },
    {
      ".items: unknown field",
      { type = "rich_link", title = "t", url = "u", items = {} },
    },
    {
      ".attachment_fallback_id: unknown field",
      { type = "template", title = "t", attachment_fallback_id = "1" },
    },
    {
      ".items[1].type: unknown field",
      { type = "carousel", items = { { type = "template", title = "t" } } },
    },
    {
      ".items[1].value: unknown field",
      { type = "select", items = { { title = "t", value = "v" } } },
    },
    {
      ".items[1].items[1].link: unknown field",
      {
        type = "carousel",
        items = { { title = "t", items = { { type = "reply", title = "t", link = "l" } } } },
      },
    },
  }
  for _, case in ipairs(unknown) do
    it("field like " .. case[1], function()
      local found = encoding.problem("messages.create", structured(case[2]))
      assert.are.equal("invalid_params", found.code)
      local said = "params.structured_content" .. case[1]
      assert.are.equal(said, found.message:sub(1, #said))
      assert.is_truthy(encoding.encode("messages.create", structured(case[2]), {
        extra_fields = true,
      }))
    end)
  end

  it("place on threads", function()
    local params = encoding.thread { structured_content = { type = "template", title = "t" } }
    local found = encoding.problem("threads.create", params)
    assert.are.equal("params.structured_content", found.field)
  end)
end)
