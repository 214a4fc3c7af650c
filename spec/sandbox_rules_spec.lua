local rules = require "sendapi.sandbox.rules"
local send_api = require "spec.support.send_api"

local ask, message, request = send_api.ask, send_api.message, send_api.request
local structured, sources = send_api.structured, send_api.sources
local agent, user, whole = send_api.agent, send_api.user, send_api.whole_message

local function must_not_be_empty(name)
  return ('structured_content: "%s" must not be empty'):format(name)
end

local function assert_answers(status, text, body, source_id)
  local actual_status, actual_text = ask(body, source_id)
  assert.are.equal(text, actual_text)
  assert.are.equal(status, actual_status)
end

describe("the rules accept", function()
  local accepted = {
    ["a message"] = { message(whole) },
    ["the documents' first example"] = {
      [[{
  "action": "messages.create",
  "params": {
    "id": "890",
    "actions": ["reply", "show", "list"],
    "author": {
      "id": "666",
      "created_at": "07/11/2019",
      "screenname": "John Doe"
    },
    "body": "Awesome post !",
    "format": "text",
    "thread_id": "42"
  }
}]],
    },
    ["a private message"] = {
      request(
        "private_messages.create",
        '{"id":"1","body":"Hi","author":' .. user .. ',"recipient":' .. agent .. "}"
      ),
    },
    ["a thread"] = {
      request("threads.create", '{"id":"1","body":"Hi","author":' .. user .. "}"),
    },
    ["a user"] = { request("users.create", user) },
    ["a read mark"] = { request("status.mark_as_read", '{"id":"890"}') },
    ["the start of typing"] = {
      request("typing.start", '{"thread_id":"42","in_reply_to_id":"890","preview":"Hello"}'),
    },
    ["the end of typing"] = { request("typing.stop", '{"in_reply_to_id":"890"}') },
    ["fields it does not know"] = { message('"colour":{"a":[1,{}]},' .. whole) },
    ["keys it does not know beside params"] = {
      '{"action":"users.create","time":1,"params":' .. user .. "}",
    },
    ["null and empty sets in optional fields"] = {
      message('"title":null,"attachments":[],"structured_content":{},"ip":"",' .. whole),
    },
    ["optional fields of the wrong type"] = {
      message('"actions":"reply","ip":4,"context_data":[1],' .. whole),
    },
    ["a message with attachments and no body"] = {
      message(
        '"id":"1","thread_id":"2","attachments":[{"url":"http://a/b"},'
          .. '{"content":"AA==","filename":"a.pdf"}],"author":'
          .. user
      ),
    },
    ["a message without thread_id, unthreaded"] = {
      message('"id":"1","body":"b","author":' .. user),
      "unthreaded",
    },
    ["a thread with only an id, without contents"] = {
      request("threads.create", '{"id":"1"}'),
      "no_content",
    },
    ["an action of the source's list"] = { request("users.create", user), "private" },
    ["an action of the source's set"] = { message(whole), "silent" },
    ["UTF-8 and escapes"] = { message('"title":"é€😀\\u0000\\"\\\\\\n\127",' .. whole) },
    ["white space between tokens"] = {
      '\r\n\t{"action":\t"users.create","params":' .. user .. "}\n",
    },
    ["a select"] = {
      structured '{"type":"select","items":[{"title":"a"},{"title":"b","payload":"p"}]}',
      "viewing",
    },
    ["a rich link"] = {
      structured '{"type":"rich_link","url":"github://a","title":"b"}',
      "viewing",
    },
    ["a template"] = {
      structured(
        '{"type":"template","title":"t","items":[{"type":"reply","title":"y"},'
          .. '{"type":"url","title":"z","url":"https://a"}]}'
      ),
      "viewing",
    },
    ["a carousel"] = {
      structured '{"type":"carousel","items":[{"title":"a","attachment_fallback_id":"1"}]}',
      "viewing",
    },
    ["structured content where the object knows none"] = {
      request(
        "threads.create",
        '{"id":"1","body":"b","structured_content":"x","author":' .. user .. "}"
      ),
    },
  }
  for name, case in pairs(accepted) do
    it(name, function()
      assert_answers(200, "ok", case[1], case[2])
    end)
  end
end)

describe("the rules refuse", function()
  local not_json, malformed = "Bad request", "Invalid request format"
  local invalid, action = "Invalid resource format", "Invalid action"
  local deep = 100000

  local refused = {
    { "an empty body", 400, not_json, "" },
    { "text", 400, not_json, "ok" },
    { "half an object", 400, not_json, '{"action":"users.create"' },
    { "two values", 400, not_json, "{}{}" },
    { "a trailing comma", 400, not_json, '{"action":"users.create",}' },
    { "numbers outside JSON", 400, not_json, '{"action":NaN}' },
    { "hexadecimal numbers", 400, not_json, '{"action":0x10}' },
    { "a NUL byte at the end", 400, not_json, message(whole) .. "\0" },
    { "a NUL byte in a string", 400, not_json, message('"ip":"\0",' .. whole) },
    { "UTF-16", 400, not_json, '{\0"\0}\0' },
    { "a bare line break in a string", 400, not_json, message('"ip":"a\nb",' .. whole) },
    { "a bare control character", 400, not_json, message('"ip":"a\27b",' .. whole) },
    { "a byte that is not UTF-8", 400, not_json, message('"ip":"\255",' .. whole) },
    { "overlong UTF-8", 400, not_json, message('"ip":"\192\175",' .. whole) },
    { "a surrogate in UTF-8", 400, not_json, message('"ip":"\237\160\128",' .. whole) },
    { "half a character", 400, not_json, message('"ip":"\226\130",' .. whole) },
    { "half a surrogate pair", 400, not_json, message('"ip":"\\ud800",' .. whole) },
    { "100,000 open arrays", 400, not_json, ("["):rep(deep) },
    { "100,000 nested arrays", 400, not_json, ("["):rep(deep) .. ("]"):rep(deep) },
    { "100,000 nested objects", 400, not_json, ('{"a":'):rep(deep) .. "1" .. ("}"):rep(deep) },

    { "an array", 400, malformed, "[]" },
    { "an array of a request", 400, malformed, "[" .. message(whole) .. "]" },
    { "a number", 400, malformed, "1" },
    { "null", 400, malformed, "null" },
    { "a string", 400, malformed, '"messages.create"' },
    { "an empty object", 400, malformed, "{}" },
    { "no action", 400, malformed, '{"params":{"id":"1"}}' },
    { "no params", 400, malformed, '{"action":"users.create"}' },
    { "a null action", 400, malformed, '{"action":null,"params":{"id":"1"}}' },
    { "an empty action", 400, malformed, '{"action":"","params":{"id":"1"}}' },
    { "an action that is a table", 400, malformed, '{"action":{"a":1},"params":{"id":"1"}}' },
    { "null params", 400, malformed, '{"action":"users.create","params":null}' },
    { "empty params", 400, malformed, '{"action":"users.create","params":{}}' },
    { "params in an array", 400, malformed, '{"action":"users.create","params":[{"id":"1"}]}' },
    { "params in a string", 400, malformed, '{"action":"users.create","params":"{}"}' },
    { "params as a number", 400, malformed, '{"action":"users.create","params":1}' },

    { "an unknown operation", 422, action, request("messages.delete", '{"id":"1"}') },
    { "an unknown resource", 422, action, request("message.create", '{"id":"1"}') },
    { "another case of letters", 422, action, request("Messages.Create", '{"id":"1"}') },
    { "a number in the list's place", 422, action, request("1", '{"id":"1"}'), "private" },
    { "what is not in the source's list", 422, action, message(whole), "private" },
    { "what is not in the source's set", 422, action, request("users.create", user), "silent" },

    { "a message without id", 422, invalid, (message(whole):gsub('"id":"890",', "")) },
    { "a null id", 422, invalid, (message(whole):gsub('"890"', "null")) },
    { "an empty id", 422, invalid, (message(whole):gsub('"890"', '""')) },
    { "a numeric id", 422, invalid, (message(whole):gsub('"890"', "890")) },
    { "a message without thread_id", 422, invalid, (message(whole):gsub('"thread_id":"42",', "")) },
    { "a message without body", 422, invalid, (message(whole):gsub('"body":"[^"]*",', "")) },
    { "a message without author", 422, invalid, (message(whole):gsub(',"author":%b{}', "")) },
    {
      "an author in a string",
      422,
      invalid,
      (message(whole):gsub('"author":%b{}', '"author":"x"')),
    },
    { "an author in an array", 422, invalid, (message(whole):gsub("(%b{})(}})$", "[%1]%2")) },
    { "an author without id", 422, invalid, (message(whole):gsub('"id":"666",', "")) },
    { "an author without screenname", 422, invalid, (message(whole):gsub("screenname", "name")) },
    { "an author without created_at", 422, invalid, (message(whole):gsub("created_at", "at")) },
    {
      "an attachment without url",
      422,
      invalid,
      message('"attachments":[{"filename":"a"}],' .. whole),
    },
    {
      "an attachment's content without filename",
      422,
      invalid,
      message('"attachments":[{"content":"AA=="}],' .. whole),
    },
    { "an attachment that is null", 422, invalid, message('"attachments":[null],' .. whole) },
    { "an attachment that is text", 422, invalid, message('"attachments":["a"],' .. whole) },
    {
      "attachments of the wrong type in the body's place",
      422,
      invalid,
      (message('"attachments":"a",' .. whole):gsub('"body":"[^"]*",', "")),
    },
    {
      "a private message without recipient",
      422,
      invalid,
      request("private_messages.create", '{"id":"1","body":"Hi","author":' .. user .. "}"),
    },
    { "a thread without body", 422, invalid, request("threads.create", '{"id":"1"}') },
    {
      "a thread without contents, with half an author",
      422,
      invalid,
      request("threads.create", '{"id":"1","author":{"id":"1"}}'),
      "no_content",
    },
    { "a user without id", 422, invalid, request("users.create", '{"screenname":"a"}') },
    { "a read mark without id", 422, invalid, request("status.mark_as_read", '{"ids":["1"]}') },
    {
      "typing without a thread or message",
      422,
      invalid,
      request("typing.start", '{"preview":"a"}'),
    },
    { "typing without preview", 422, invalid, request("typing.start", '{"thread_id":"42"}') },
    {
      "the end of typing nowhere",
      422,
      invalid,
      request("typing.stop", '{"in_reply_to_id":null,"thread_id":""}'),
    },
  }
  for _, case in ipairs(refused) do
    local name, status, text, body, source_id = case[1], case[2], case[3], case[4], case[5]
    it(name .. ": " .. text, function()
      assert_answers(status, text, body, source_id)
    end)
  end

  it("a body over 20,971,520 bytes, without signing it", function()
    local status, text = rules.answer(sources(), "plain", ("x"):rep(20971521), nil, {
      now = 0,
      sign = function()
        error "not reached"
      end,
    })
    assert.are.equal(413, status)
    assert.are.equal("Invalid request size (max: 20971520 bytes)", text)
  end)

  it("not a body of exactly 20,971,520 bytes", function()
    local start = '{"action":"users.create","params":{"email":"'
    local stop = '",' .. user:sub(2) .. "}"
    local body = start .. ("e"):rep(20971520 - #start - #stop) .. stop
    assert.are.equal(20971520, #body)
    assert_answers(200, "ok", body)
  end)
end)

describe("structured contents", function()
  local unsupported = "Source doesn't support this type of structured content"
  local no_type = "Type is required for structured contents"

  local refused = {
    { "need view.messaging", "Source doesn't support structured contents", '{"a":1}', "plain" },
    { "of no type", no_type, '{"items":[{"title":"a"}]}' },
    { "of a null type", no_type, '{"type":null,"items":[1]}' },
    { "of an empty type", no_type, '{"type":"","items":[1]}' },
    { "in a string", no_type, '"select"' },
    { "in an array", no_type, '["select"]' },
    { "of an unknown type", unsupported, '{"type":"list"}' },
    { "of a numeric type", unsupported, '{"type":1}' },
    { "of a type in a table", unsupported, '{"type":["select"]}' },
    { "select without items", must_not_be_empty "items", '{"type":"select"}' },
    { "select with no items", must_not_be_empty "items", '{"type":"select","items":[]}' },
    { "select with text for items", must_not_be_empty "items", '{"type":"select","items":"a"}' },
    {
      "select with an item without title",
      must_not_be_empty "title",
      '{"type":"select","items":[{"title":"a"},{"payload":"b"}]}',
    },
    {
      "select with an item that is null",
      must_not_be_empty "title",
      '{"type":"select","items":[null]}',
    },
    { "link without url", must_not_be_empty "url", '{"type":"rich_link","title":"a"}' },
    {
      "link with an empty title",
      must_not_be_empty "title",
      '{"type":"rich_link","url":"http://a","title":""}',
    },
    { "template without title", must_not_be_empty "title", '{"type":"template"}' },
    {
      "template with a button of no type",
      must_not_be_empty "type",
      '{"type":"template","title":"a","items":[{"title":"b"}]}',
    },
    {
      "template with a button without title",
      must_not_be_empty "title",
      '{"type":"template","title":"a","items":[{"type":"reply"}]}',
    },
    {
      "template with a link button without url",
      must_not_be_empty "url",
      '{"type":"template","title":"a","items":[{"type":"url","title":"b"}]}',
    },
    { "carousel without items", must_not_be_empty "items", '{"type":"carousel"}' },
    {
      "carousel with an item without title",
      must_not_be_empty "title",
      '{"type":"carousel","items":[{"subtitle":"a"}]}',
    },
    {
      "carousel with a button deep inside without url",
      must_not_be_empty "url",
      '{"type":"carousel","items":[{"title":"a","items":[{"type":"url","title":"b"}]}]}',
    },
  }
  for _, case in ipairs(refused) do
    local name, text, content, source_id = case[1], case[2], case[3], case[4]
    it(name, function()
      assert_answers(422, text, structured(content), source_id or "viewing")
    end)
  end

  for _, puppetizable in ipairs { "false", '"true"', "1", "null" } do
    it("of an author whose puppetizable is " .. puppetizable, function()
      local body = structured('{"type":"select","items":[{"title":"a"}]}')
      body = body:gsub('("puppetizable":)true', "%1" .. puppetizable)
      assert_answers(422, "The author must be puppetizable", body, "viewing")
    end)
  end

  it("keep the order of the error table", function()
    local author_last = structured('{"type":"select"}'):gsub("true", "false")
    assert_answers(422, must_not_be_empty "items", author_last, "viewing")
    local body_first = structured('{"type":"list"}'):gsub('"body":"Choose",', "")
    assert_answers(422, "Invalid resource format", body_first, "plain")
  end)
end)
