--- Engage Digital's side of polling, against a transport that says what a spec wants.
local cjson = require "cjson"
local new_poller = require("sendapi.sandbox.poller").new
local openssl = require "spec.support.openssl"

local TOKEN = "a token"
local NOW = 1349111920.5 -- 2012-10-01T17:18:40Z

--- Stands for HMAC: quick, and wrong for other bytes or another token.
local function sign(token, body)
  local sum = 0
  for i = 1, #body do
    sum = (sum * 31 + body:byte(i)) % 2147483647
  end
  return ("%s%x"):format(token:gsub("%W", "e"), sum)
end

local function answer_of(text)
  return 200, text, { ["X-SMCCSDK-SIGNATURE"] = sign(TOKEN, text) }
end

local function info(objects, options)
  return ('{"objects":%s,"options":%s,"locales":{"default":{"spam":"Spam"}}}'):format(
    objects or '{"messages":["create","show","list","delete","spam"]}',
    options or '["view.messaging"]'
  )
end

describe("the poller", function()
  local answers, requests

  --- `answers[action]` is a text, a list of them (the last one stays), or a function (params, try).
  local function exchange(body, signature)
    assert.are.equal(sign(TOKEN, body), signature)
    local request = cjson.decode(body)
    requests[#requests + 1] = request
    local count = 0
    for _, earlier in ipairs(requests) do
      count = count + (earlier.action == request.action and 1 or 0)
    end
    local answer = answers[request.action]
    if type(answer) == "table" then
      answer = answer[math.min(count, #answer)]
    end
    if type(answer) == "function" then
      return answer(request.params, count)
    end
    return answer_of(answer)
  end

  local function start(given)
    answers, requests = given, {}
    answers["implementation.info"] = answers["implementation.info"] or info()
    return new_poller {
      token = TOKEN,
      exchange = exchange,
      sign = sign,
      now = function()
        return NOW
      end,
    }
  end

  local function raw(status, text, headers)
    return function()
      return status, text, headers
    end
  end

  local function message(id)
    return ('{"id":"%s","body":"b%s"}'):format(id, id)
  end

  local function page(...)
    local texts = {}
    for i, id in ipairs { ... } do
      texts[i] = message(id)
    end
    return "[" .. table.concat(texts, ",") .. "]"
  end

  local function actions_asked()
    local list = {}
    for i, request in ipairs(requests) do
      list[i] = request.action
    end
    return table.concat(list, " ")
  end

  local function assert_problem(code, value, found)
    assert.is_nil(value)
    assert.are.equal(code, found.code, found.message)
    assert.is_string(found.message)
    return found
  end

  it("sends what the documents show, signed", function()
    local sent
    local poller = new_poller {
      token = "3YJZzqMJ5Ec7i2JGvnt8TgvleD7dtpwpmag4S6MuRA2GQdfvV4STIsxDRJ4fEjO8",
      now = function()
        return NOW
      end,
      sign = openssl.sign,
      exchange = function(body, signature)
        sent = { cjson.decode(body), signature, body }
        return nil, "nobody"
      end,
    }
    assert_problem("no_answer", poller:synchronise())
    assert.same({ action = "implementation.info", time = "2012-10-01T17:18:40Z" }, sent[1])
    assert.are.equal(openssl.sign(poller.settings.token, sent[3]), sent[2])
  end)

  describe("asks what is implemented", function()
    it("at the start of every synchronisation, and lists what is declared", function()
      local poller = start {
        ["implementation.info"] = info '{"messages":["list"],"threads":["list"],"status":[]}',
        ["messages.list"] = "[]",
        ["threads.list"] = "[]",
      }
      assert.same({ messages = {}, threads = {} }, poller:synchronise())
      assert.are.equal("implementation.info threads.list messages.list", actions_asked())
      assert.same({ list = true }, poller.info.objects.messages)
      assert.same({}, poller.info.objects.status)
      assert.same({ ["view.messaging"] = true }, poller.info.options)
      assert.are.equal("Spam", poller.info.locales.default.spam)
      assert.is_truthy(poller:synchronise())
      assert.are.equal(6, #requests)
    end)

    it("and takes nothing else for an answer", function()
      local wrong = {
        "[]",
        "{}",
        '"objects"',
        "null",
        '{"objects":[["a"]]}',
        '{"objects":{"messages":"list"}}',
        '{"objects":{"messages":{"list":true}}}',
        '{"objects":{"messages":[1]}}',
        '{"objects":{},"options":"view.messaging"}',
        '{"objects":{},"options":{"view.messaging":true}}',
      }
      for _, text in ipairs(wrong) do
        local poller = start { ["implementation.info"] = text }
        local found = assert_problem("shape", poller:synchronise())
        assert.are.equal("implementation.info", found.action)
        assert.is_nil(poller.info)
      end
    end)

    it("and is content with objects alone, and with nulls", function()
      local poller = start {
        ["implementation.info"] = '{"objects":{},"options":null,"locales":null}',
      }
      assert.same({}, poller:synchronise())
      assert.same({ objects = {}, options = {}, locales = {} }, poller.info)
    end)
  end)

  describe("takes no answer", function()
    local rows = {
      { "no_answer", raw(nil, "connection refused"), "no answer: connection refused" },
      { "status", raw(403, "Invalid\nsignature"), "status 403: Invalid signature" },
      { "status", raw(301, ""), "status 301: " },
      { "status", raw(500, ("é"):rep(500)), "status 500: " .. ("é"):rep(100) .. "..." },
      { "signature", raw(200, "{}", {}), "the signature of the answer is missing" },
      { "signature", raw(200, "{}"), "the signature of the answer is missing" },
      {
        "signature",
        raw(200, "{}", { ["x-smccsdk-signature"] = sign(TOKEN, "{} ") }),
        "the signature of the answer is wrong",
      },
      { "not_json", "<html>", "the answer: it is not JSON, or too deep" },
      { "not_json", "", "the answer: it is not JSON, or too deep" },
      { "resource_error", '{"error":{"message":"No"}}', "resource error: No" },
      { "resource_error", '{"error":{}}', "resource error: no message" },
    }
    for i, row in ipairs(rows) do
      it(("number %d, for the reason '%s'"):format(i, row[1]), function()
        local poller = start { ["implementation.info"] = row[2] }
        local found = assert_problem(row[1], poller:synchronise())
        assert.are.equal(row[3], found.message)
        assert.are.equal(row[1], poller.wire[1].verdict)
      end)
    end

    it("but an upper-case signature, in a header of any case", function()
      local text = info "{}"
      local hex = sign(TOKEN, text):upper()
      local poller = start {
        ["implementation.info"] = raw(201, text, { ["x-SMCCSDK-signature"] = hex }),
      }
      assert.is_truthy(poller:synchronise())
    end)
  end)

  describe("fetches a list", function()
    it("page by page, each after the newest, until nothing is new", function()
      local poller = start { ["messages.list"] = { page(2, 1), page(9, 3), "[]" } }
      local arrived = assert(poller:synchronise()).messages
      local ids = {}
      for i, object in ipairs(arrived) do
        ids[i] = object.id
      end
      assert.same({ "1", "2", "3", "9" }, ids)
      assert.same({ "1", "2", "3", "9" }, poller.objects.messages.ids)
      assert.are.equal("b9", poller.objects.messages.by_id["9"].body)
      assert.is_nil(requests[2].params)
      assert.same({ since_id = "2" }, requests[3].params)
      assert.same({ since_id = "9" }, requests[4].params)
      assert.are.equal(4, #requests)
    end)

    it("from the newest that it knows, at the next synchronisation", function()
      local poller = start { ["messages.list"] = { page(2, 1), "[]", page(3), "[]" } }
      poller:synchronise()
      assert.are.equal("3", assert(poller:synchronise()).messages[1].id)
      assert.same({ since_id = "2" }, requests[5].params)
      assert.same({ since_id = "3" }, requests[6].params)
    end)

    it("that says the same again and again, once more", function()
      local poller = start { ["messages.list"] = page(2, 1) }
      assert.are.equal(2, #assert(poller:synchronise()).messages)
      assert.are.equal(3, #requests)
      assert.are.equal(2, #poller.objects.messages.ids)
    end)

    it("that says the newest of what it said again, changed", function()
      local poller = start { ["messages.list"] = { page(2, 1), '[{"id":2,"body":"new"}]' } }
      poller:synchronise()
      assert.are.equal("new", poller.objects.messages.by_id["2"].body)
      assert.same({ "1", "2" }, poller.objects.messages.ids)
    end)

    it("that never ends, a thousand times", function()
      local poller = start {
        ["messages.list"] = function(_, try)
          return answer_of(page(try))
        end,
      }
      assert_problem("endless", poller:synchronise())
      assert.are.equal(1001, #requests)
      assert.are.equal(200, #poller.wire)
      assert.are.equal(1000, #poller.objects.messages.ids)
    end)

    it("and keeps what came before a problem", function()
      local poller = start {
        ["messages.list"] = { page(2, 1), '{"error":{"fatal":true}}' },
      }
      assert.is_true(assert_problem("resource_error", poller:synchronise()).fatal)
      assert.same({ "1", "2" }, poller.objects.messages.ids)
    end)

    it("only when it is an array of objects with ids", function()
      local wrong = { '{"id":"1"}', '"1"', "null", "[1]", "[[]]", '[{"id":""}]', '[{"id":true}]' }
      for _, text in ipairs(wrong) do
        local poller = start { ["messages.list"] = text }
        assert_problem("shape", poller:synchronise())
        assert.same({}, poller.objects.messages.ids)
      end
    end)

    it("and drops nulls, but not what is false", function()
      local poller = start {
        ["messages.list"] = '[{"id":"1","title":null,"author":{"puppetizable":false,"ip":null}}]',
      }
      poller:synchronise()
      local expected = { id = "1", author = { puppetizable = false } }
      assert.same(expected, poller.objects.messages.by_id["1"])
    end)
  end)

  describe("hands over what an agent writes", function()
    it("with all that Engage Digital says of it", function()
      local poller = start { ["messages.create"] = '{"id":17}' }
      local created = assert(poller:create("messages", { body = "Hello", thread_id = "7" }))
      assert.are.equal(17, created.id)
      local sent = requests[1].params
      assert.are.equal("Hello", sent.body)
      assert.are.equal("7", sent.thread_id)
      assert.are.equal("2012-10-01T17:18:40Z", sent.created_at)
      assert.is_false(sent.retry)
      assert.is_string(sent.content_id)
      assert.same({ "17" }, poller.objects.messages.ids)
      poller:create("messages", { body = "Again" })
      assert.are_not.equal(sent.content_id, requests[2].params.content_id)
      poller = start { ["messages.create"] = '{"id":18}' }
      assert(poller:create("messages", { body = "Another poller's" }))
      assert.are_not.equal(sent.content_id, requests[1].params.content_id)
    end)

    it("three times at most, with the same content_id, retry from the second on", function()
      local poller = start {
        ["messages.create"] = { raw(500, "no"), '{"error":{"message":"later"}}', '{"id":"5"}' },
      }
      assert.are.equal("5", assert(poller:create("messages", { content_id = "c" })).id)
      local said = {}
      for i, request in ipairs(requests) do
        said[i] = { request.params.content_id, request.params.retry }
      end
      assert.same({ { "c", false }, { "c", true }, { "c", true } }, said)
      poller = start { ["messages.create"] = raw(nil, "gone") }
      assert_problem("no_answer", poller:create("messages", {}))
      assert.are.equal(3, #requests)
    end)

    it("once, when the error is fatal", function()
      local poller = start {
        ["messages.create"] = '{"error":{"message":"No such thread","fatal":true}}',
      }
      local found = assert_problem("resource_error", poller:create("messages", {}))
      assert.are.equal("resource error: No such thread", found.message)
      assert.is_true(found.fatal)
      assert.are.equal(1, #requests)
    end)

    it("and wants an id back", function()
      for _, text in ipairs { "{}", "[]", '{"id":null}', '"5"', "5", "null" } do
        local poller = start { ["messages.create"] = text }
        assert_problem("shape", poller:create("messages", {}))
        assert.are.equal(3, #requests)
      end
    end)

    it("and still takes it from a list, as new", function()
      local poller = start {
        ["messages.create"] = '{"id":"5"}',
        ["messages.list"] = { page(5), "[]" },
      }
      poller:create("messages", {})
      assert.are.equal("b5", assert(poller:synchronise()).messages[1].body)
      assert.same({ "5" }, poller.objects.messages.ids)
    end)
  end)

  describe("presses buttons", function()
    it("and keeps the object as it is then", function()
      local poller = start { ["messages.spam"] = '{"id":"1","body":"spam"}' }
      local object = assert(poller:perform("messages.spam", { id = "1", user_id = "u" }))
      assert.are.equal("spam", object.body)
      assert.same({ id = "1", user_id = "u" }, requests[1].params)
      assert.are.equal("spam", poller.objects.messages.by_id["1"].body)
    end)

    it("three times those that Engage Digital repeats, once the others", function()
      local poller = start { ["messages.delete"] = raw(500, ""), ["messages.spam"] = raw(500, "") }
      assert_problem("status", poller:perform("messages.delete", { id = "1" }))
      assert.are.equal(3, #requests)
      assert_problem("status", poller:perform("messages.spam", { id = "1" }))
      assert.are.equal(4, #requests)
    end)

    it("and wants the same object back", function()
      for _, text in ipairs { "{}", "[]", '{"id":"2"}', "null" } do
        local poller = start { ["messages.spam"] = text }
        assert_problem("shape", poller:perform("messages.spam", { id = "1" }))
      end
    end)
  end)

  describe("shows", function()
    it("an object", function()
      local poller = start { ["messages.show"] = message(3) }
      assert.are.equal("b3", assert(poller:show("messages", "3")).body)
      assert.same({ id = "3" }, requests[1].params)
    end)

    it("that nobody knows as a problem, and another as one, too", function()
      local poller = start { ["messages.show"] = { "{}", message(4), "[1]" } }
      assert_problem("unknown", poller:show("messages", "3"))
      assert_problem("shape", poller:show("messages", "3"))
      assert_problem("shape", poller:show("messages", "3"))
    end)
  end)

  it("tells how long a customer waits, and is content with any 2xx", function()
    local poller = start {
      ["implementation.info"] = info(nil, '["messaging.queuing_update"]'),
      ["messages.list"] = "[]",
      ["messaging.queuing_update"] = { raw(204, ""), raw(422, "No") },
    }
    poller:synchronise()
    local update = { estimated_wait_time = 60, position = 2, thread_id = "t" }
    assert.is_true(poller:queuing_update(update))
    assert.same(update, requests[3].params)
    assert_problem("status", poller:queuing_update(update))
  end)

  it("asks for nothing that is not declared", function()
    local poller = start { ["implementation.info"] = info('{"messages":["create"]}', "[]") }
    poller:synchronise()
    assert_problem("not_implemented", poller:perform("messages.spam", { id = "1" }))
    assert_problem("not_implemented", poller:show("messages", "1"))
    assert_problem("not_implemented", poller:create("threads", {}))
    assert_problem("not_implemented", poller:queuing_update {})
    assert.are.equal(1, #requests)
  end)

  it("keeps every exchange as it went over the wire", function()
    local poller = start { ["messages.list"] = raw(500, "down") }
    poller:synchronise()
    assert.are.equal(2, #poller.wire)
    local last = poller.wire[2]
    assert.are.equal("messages.list", last.action)
    assert.are.equal("messages.list", cjson.decode(last.request).action)
    assert.are.equal(500, last.status)
    assert.are.equal("down", last.answer)
    assert.are.equal("status", last.verdict)
    assert.are.equal("ok", poller.wire[1].verdict)
  end)

  it("asks what is implemented, and nothing else, when it is told to", function()
    local poller = start { ["messages.list"] = page "1" }
    assert.is_true(assert(poller:inquire()).objects.messages.list)
    assert.are.equal("implementation.info", actions_asked())
    poller = start { ["implementation.info"] = "[]" }
    assert_problem("shape", poller:inquire())
  end)

  it("tells of what arrives, also when the list is not whole", function()
    local poller = start {
      ["messages.list"] = function(params)
        if params and params.since_id == "2" then
          return nil, "gone"
        end
        return answer_of(page("2", "1"))
      end,
    }
    local arrived = {}
    poller.settings.arrived = function(kind, object)
      arrived[#arrived + 1] = kind .. " " .. object.id
    end
    assert_problem("no_answer", poller:synchronise())
    assert.same({ "messages 1", "messages 2" }, arrived)
  end)

  it("forgets the oldest when it is told to, and still goes on where it was", function()
    local poller = start { ["messages.list"] = { page("3", "2", "1"), "[]" } }
    poller:synchronise()
    poller:forget(2)
    local contents = poller.objects.messages
    assert.same({ { "2", "3" }, {} }, { contents.ids, poller.wire })
    assert.is_nil(contents.by_id["1"] or contents.listed["1"])
    assert.same({ ["2"] = { id = "2" }, ["3"] = { id = "3" } }, contents.by_id)
    poller:forget(0)
    assert.same({ {}, {} }, { contents.ids, contents.by_id })
    poller:synchronise()
    assert.are.equal("3", requests[#requests].params.since_id)
  end)
end)
