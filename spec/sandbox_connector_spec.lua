--- The sandbox towards a connector of this library, which is served by an nginx of its own.
local api = require "spec.support.api"
local cjson = require "cjson"
local nginx = require "spec.support.nginx"
local shell = require "spec.support.shell"
local support = require "spec.support.sandbox"

describe("#house the sandbox and a connector", function()
  local room, sandbox, screen

  --- A connector of this library in an nginx, on a port that is free.
  local function start_room()
    local options = {
      room = shell.run("pwd").output:match "%C+" .. "/spec/support/room.lua",
      http = [[
        init_by_lua_block { package.loaded.room = dofile "{{room}}" }
        server {
          listen 127.0.0.1:{{port}};
          location / { content_by_lua_block { require("room").handle() } }
        }
      ]],
      server = [[
        location = /post { content_by_lua_block { require("room").post() } }
        location = /hold { content_by_lua_block { require("room").hold() } }
        location = /tell { content_by_lua_block { require("room").tell() } }
      ]],
    }
    for _ = 1, 20 do
      options.port = tostring(math.random(12000, 30000))
      local is_started, found = pcall(nginx.start, options)
      if is_started then
        return found, ("http://localhost:%s/c?a=b"):format(options.port)
      end
    end
    error "no port was free"
  end

  local url

  setup(function()
    math.randomseed(os.time())
    room, url = start_room()
    sandbox = support.start {
      sources = { plain = { token = "room", connector = url, interval = 0 } },
    }
    screen = api.of(sandbox)
    screen:post("/poll", { source = "plain" })
  end)

  teardown(function()
    sandbox:stop()
    room:stop()
  end)

  before_each(function()
    screen:ask("DELETE", "/_sandbox")
    room:get "/hold?is=off"
    room:get "/tell"
  end)

  --- The requests that the connector has got since the last time, those with this action.
  local function told(action)
    local list = {}
    for _, request in ipairs(cjson.decode((select(2, room:get "/tell")))) do
      list[#list + 1] = (not action or request.action == action) and request or nil
    end
    return list
  end

  local function poll()
    local status, answer = screen:post("/poll", { source = "plain" })
    assert.equal(200, status, answer.error)
  end

  local function ended(key)
    local function is_over(found)
      local last = found.messages and found.messages[#found.messages]
      return last and last.state ~= "sending"
    end
    local found = screen:wait_for("/threads/" .. (key or "plain:thread:42"), is_over)
    return found.messages[#found.messages]
  end

  local function reply(body, more)
    local given = { source = "plain", thread_id = "42", body = body }
    for name, value in pairs(more or {}) do
      given[name] = value
    end
    local status, message_now = screen:post("/reply", given)
    assert.equal(200, status, message_now.error)
    assert.equal("sending", message_now.state)
    return ended(message_now.key)
  end

  it("agree on what is implemented", function()
    local _, state = screen:get "/state"
    local source = state.sources[1]
    assert.equal("Spam!", source.info.locales.default.spam)
    assert.same({ "create", "delete", "explode", "list", "spam" }, source.info.objects.messages)
    assert.is_nil(source.error)
    assert.is_number(source.polled_at)
  end)

  it("exchange what is new, page by page, and go on where they were", function()
    for i = 1, 5 do
      room:get("/post?id=" .. i)
    end
    poll()
    local _, found = screen:get "/messages"
    assert.equal(5, #found.messages)
    assert.equal("1", found.messages[1].id)
    local since = {}
    for i, request in ipairs(told "messages.list") do
      since[i] = type(request.params) == "table" and request.params.since_id or "-"
    end
    assert.equal("- 2 4 5", table.concat(since, " "))
    room:get "/post?id=6"
    poll()
    _, found = screen:get "/messages"
    assert.equal(6, #found.messages)
    assert.equal("5", told("messages.list")[1].params.since_id)
    poll()
    assert.equal("6", told("messages.list")[1].params.since_id)
  end)

  it("hand over a reply", function()
    local message_then = reply("hello", {
      attachments = { { url = "http://a/b.png", filename = "b.png" } },
      author = { screenname = "Ann" },
      in_reply_to_id = "7",
    })
    assert.same({ "sent", "Ann", 1 }, {
      message_then.state,
      message_then.author.screenname,
      message_then.tries,
    })
    assert.is_truthy(message_then.id:find "^c")
    assert.same({ { name = "spam", label = "Spam!" } }, message_then.actions)
    local params = told("messages.create")[1].params
    assert.same({ "hello", "42", "7", "Ann", "text", false, "b.png" }, {
      params.body,
      params.thread_id,
      params.in_reply_to_id,
      params.sender_name,
      params.format,
      params.retry,
      params.attachments[1].filename,
    })
    local _, wire = screen:get "/wire"
    local last = wire[#wire]
    assert.same({ "out", 200, { right = true }, 1, url }, {
      last.direction,
      last.status,
      last.verdict,
      last.try,
      last.url,
    })
  end)

  it("answer the newest message of the customer", function()
    room:get "/post?id=q1"
    poll()
    told()
    local status = screen:post("/reply", { thread = "plain:thread:t", body = "hello" })
    assert.equal(200, status)
    ended "plain:thread:t"
    assert.equal("q1", told("messages.create")[1].params.in_reply_to_id)
  end)

  it("try again when an answer is lost, or is a resource error", function()
    for _, kind in ipairs { "drop", "later" } do
      local message_then = reply(kind .. " 2")
      assert.same({ "sent", 3 }, { message_then.state, message_then.tries })
      local tries = told "messages.create"
      assert.equal(3, #tries)
      assert.same({ false, true, true }, {
        tries[1].params.retry,
        tries[2].params.retry,
        tries[3].params.retry,
      })
      assert.equal(tries[1].params.content_id, tries[3].params.content_id)
    end
    local _, wire = screen:get "/wire"
    assert.equal("Connection closed without an answer", wire[1].error)
    assert.is_nil(wire[1].status)
  end)

  it("give up after three tries, or at once when it is fatal", function()
    for body, expected in pairs {
      ["drop 3"] = { 3, "Connection closed" },
      ["later 3"] = { 3, "not now" },
      ["fatal"] = { 1, "no such thread" },
      ["unsigned"] = { 3, "signature" },
    } do
      local message_then = reply(body)
      assert.same({ "failed", expected[1] }, { message_then.state, message_then.tries })
      assert.is_truthy(message_then.error:find(expected[2], 1, true), message_then.error)
      assert.equal(expected[1], #told "messages.create")
    end
  end)

  it("say what is wrong with an answer's signature", function()
    reply "unsigned"
    local _, wire = screen:get "/wire"
    assert.same({ right = false, why = "it is missing" }, wire[#wire].verdict)
  end)

  it("refuse a reply that is none", function()
    for _, given in ipairs {
      {},
      { body = "" },
      { body = 1 },
      { body = "b", attachments = 1 },
      { body = "b", attachments = { 1 } },
      { body = "b", attachments = { { url = 1 } } },
      { body = "b", structured_content = { 1 } },
      { body = "b", structured_content = "x" },
      { body = "b", author = "me" },
      { body = "b", author = { screenname = 1 } },
      { body = "b", author = { screenname = ("x"):rep(400) } },
      { body = "b", object = "users" },
      { body = "b", in_reply_to_id = {} },
      { body = "b", thread_id = {} },
    } do
      given.source = "plain"
      given.thread_id = given.thread_id or "42"
      assert.equal(422, (screen:post("/reply", given)))
    end
    assert.equal(422, (screen:post("/reply", { source = "plain", body = "b" })))
    assert.equal(404, (screen:post("/reply", { thread = "none", body = "b" })))
    assert.same({}, told "messages.create")
  end)

  it("press buttons", function()
    room:get "/post?id=b1"
    poll()
    told()
    local function press(operation, id)
      local given = { thread = "plain:thread:t", message = id or "b1", operation = operation }
      return screen:post("/action", given)
    end
    local status, message_then = press "spam"
    assert.same({ 200, { "spam" } }, { status, message_then.categories })
    local request = told("messages.spam")[1]
    assert.same({ id = "b1", user_id = "agent" }, request.params)
    status, message_then = press "delete"
    assert.same({ 200, "deleted" }, { status, message_then.removed })
    local _, answer = press "explode"
    assert.is_nil(answer.error:find("secret", 1, true))
    assert.equal(502, (press "explode"))
    assert.equal(422, (press "publish"))
    assert.equal(422, (press "list"))
    assert.equal(422, (press "x.y"))
    assert.equal(404, (press("spam", "none")))
    assert.equal(422, (screen:post("/action", { thread = "plain:thread:t", operation = "spam" })))
  end)

  it("say who waits how long", function()
    reply "hello"
    local given = { thread = "plain:thread:42", position = 4, estimated_wait_time = 60 }
    assert.equal(200, (screen:post("/queuing", given)))
    local request = told("messaging.queuing_update")[1]
    assert.same({ position = 4, estimated_wait_time = 60, thread_id = "42" }, request.params)
    for name, values in pairs { position = { -1, 1.5, "1" }, estimated_wait_time = { -1, "1" } } do
      for _, value in ipairs(values) do
        local wrong = { thread = "plain:thread:42", position = 1, estimated_wait_time = 1 }
        wrong[name] = value
        assert.equal(422, (screen:post("/queuing", wrong)))
      end
    end
  end)

  it("send again what went out", function()
    reply "hello"
    local _, wire = screen:get "/wire"
    local n = wire[#wire].n
    local status, again = screen:post("/replay", { n = n })
    assert.same({ 200, 200, "out" }, { status, again.status, again.direction })
    _, again = screen:post("/replay", { n = n, body = "{}" })
    assert.same({ 400, "{}" }, { again.status, again.request.body })
    _, again = screen:post("/replay", { n = n, body = "{}", sign = false })
    assert.equal(403, again.status)
    assert.equal(2, #told "messages.create")
  end)

  it("hear of each other when the source is saved, and every few seconds", function()
    told()
    screen:ask("PUT", "/_sandbox/sources/plain", { connector = url .. "&x", interval = 1 })
    screen:wait_for("/state", function(state)
      return state.sources[1].info
    end)
    assert.equal("implementation.info", told()[1].action)
    room:get "/post?id=timed"
    local found = screen:wait_for("/messages", function(answer)
      for _, one in ipairs(answer.messages) do
        if one.id == "timed" then
          return true
        end
      end
    end)
    assert.is_table(found)
    screen:ask("PUT", "/_sandbox/sources/plain", { connector = url, interval = 0 })
  end)

  describe("of which there is another meanwhile", function()
    local function use(connector)
      assert.equal(200, (screen:ask("PUT", "/_sandbox/sources/plain", { connector = connector })))
    end

    local function source()
      return select(2, screen:get "/state").sources[1]
    end

    after_each(function()
      use(url)
      screen:wait_for("/state", function(state)
        return state.sources[1].info and not state.sources[1].syncing
      end)
      assert.is_nil(shell.read_file(sandbox.log_file):find("[lua]", 1, true))
    end)

    it("ask that one what it implements, too", function()
      room:get "/hold?is=on"
      use(url .. "&slow")
      screen:wait_for("/state", function(state)
        return state.sources[1].syncing and #told "implementation.info" > 0
      end)
      use(url .. "&other")
      assert.is_nil(source().info)
      room:get "/hold?is=off"
      screen:wait_for("/state", function(state)
        return state.sources[1].info
      end)
      assert.equal(1, #told "implementation.info")
    end)

    it("bring a reply to its end, where it was begun", function()
      room:get "/hold?is=on"
      local given = { source = "plain", thread_id = "42", body = "later 1" }
      local _, sent = screen:post("/reply", given)
      use ""
      room:get "/hold?is=off"
      local message = ended(sent.key)
      assert.same({ "sent", 2 }, { message.state, message.tries })
    end)
  end)

  it("say why they do not understand each other", function()
    local function error_with(settings)
      settings.interval = 0
      screen:ask("PUT", "/_sandbox/sources/plain", settings)
      local status, answer = screen:post("/poll", { source = "plain" })
      assert.equal(502, status)
      assert.equal(answer.error, select(2, screen:get "/state").sources[1].error)
      return answer.error
    end
    local unknown = error_with { token = "another" }
    assert.is_truthy(unknown:find("status 403: Invalid signature", 1, true), unknown)
    local refused = error_with { token = "room", connector = "http://127.0.0.1:1/" }
    assert.equal("no answer: Connection refused", refused)
    local plain = error_with { connector = url:gsub("^http", "https") }
    assert.is_truthy(plain:find("no answer: ", 1, true), plain)
    local status = screen:ask("PUT", "/_sandbox/sources/plain", { connector = url })
    assert.equal(200, status)
    poll()
  end)
end)
