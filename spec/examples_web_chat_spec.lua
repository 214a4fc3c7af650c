--- The web chat as it stands: visitors on one side, Engage Digital played on the other.
local cjson = require "cjson"
local core = require "sendapi.core"
local host = require "sendapi.sandbox.host"
local nginx = require "spec.support.nginx"
local polling = require "spec.support.polling"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local TOKEN = send_api.token
local JSON = "Content-Type: application/json"
local HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>\r\n\r\n"
  .. "data: x\n\n\0é\226\128\168"

describe("#house the example web_chat", function()
  if not nginx.core() then
    pending "needs a core for LuaJIT"
    return
  end

  local directory, sandbox, running, poller
  local keys = 0

  before_each(function()
    directory = temporary.directory()
    sandbox = assert(host.start {
      sources = {
        chat = { token = TOKEN, options = { "view.messaging", "messages.text" } },
        picky = {
          token = TOKEN,
          fault = { kind = "status", status = 422, text = "Invalid resource format" },
        },
      },
    })
  end)

  after_each(function()
    if running then
      running:stop()
      running = nil
    end
    sandbox:stop()
    directory:remove()
  end)

  local function start(source_id, example)
    running = nginx.start_example(example or "examples/web_chat", {
      SENDAPI_BASE_URL = sandbox.http,
      SENDAPI_SOURCE = source_id or "chat",
      SENDAPI_TOKEN = TOKEN,
    })
    poller = polling.of(running.url .. "/connector", TOKEN)
  end

  local function ask(path, body, headers, method)
    local settings = { url = running.url .. path, body = body, headers = headers, method = method }
    return assert(core.exchange(settings))
  end

  --- Opens the page: the cookie that a browser keeps.
  local function arrive()
    local answer = ask("/", nil, {})
    assert.equal(200, answer.status)
    local cookie = answer.headers["set-cookie"]
    return "Cookie: " .. cookie:match "^visitor=%x+", cookie, answer
  end

  local function new_key()
    keys = keys + 1
    return ("key-%08d"):format(keys)
  end

  --- Posts a table as JSON; the status and what was answered.
  local function post(visitor, path, request)
    local answer = ask(path, cjson.encode(request), { JSON, visitor })
    return answer.status, cjson.decode(answer.body)
  end

  local function say(visitor, text, more)
    local request = { key = new_key(), text = text }
    for name, value in pairs(more or {}) do
      request[name] = value
    end
    return post(visitor, "/say", request)
  end

  --- Opens a stream of events, into a file.
  local function listen(visitor, last)
    local path = directory:path_of "stream"
    local command = "curl -sN --max-time 60 -H '%s' -H 'Last-Event-ID: %s' %s/events >%s & echo $!"
    local pid = shell.run(command:format(visitor, last or "", running.url, path)).output:match "%d+"
    return path, pid
  end

  local function read_events(path)
    local events, text = {}, shell.read_file(path)
    for data in text:gmatch "\ndata: ([^\n]*)\n\n" do
      events[#events + 1] = cjson.decode(data)
    end
    return events, text
  end

  --- What a stream that is opened brings at once, which are so many events; and its bytes.
  local function events_of(visitor, count, last)
    local path, pid = listen(visitor, last)
    local came = shell.wait_until(function()
      return #read_events(path) >= count and shell.read_file(path):find "^retry: %d+\n\n"
    end, 15)
    shell.run("kill " .. pid)
    assert.truthy(came, "the events did not come")
    return read_events(path)
  end

  local function received(action)
    local found = {}
    for _, entry in ipairs(sandbox:received()) do
      if entry.action == action and entry.status == 200 then
        found[#found + 1] = entry.params
      end
    end
    return found
  end

  local function await(action, count)
    assert.truthy(shell.wait_until(function()
      return #received(action) == count
    end, 10))
    return received(action)
  end

  --- A visitor who has said something, and the thread that Engage Digital knows them by.
  local function visitor_in_thread()
    local visitor = arrive()
    assert.equal(200, (say(visitor, "Hello")))
    local messages = received "messages.create"
    return visitor, messages[#messages].thread_id
  end

  it("brings what a visitor says to Engage Digital, and to the visitor's pages", function()
    start()
    local visitor = arrive()
    local text_of_visitor = HOSTILE:gsub("%z", "")
    local status, answer = say(visitor, text_of_visitor)
    assert.equal(200, status)
    assert.is_true(answer.ok)
    local message = received("messages.create")[1]
    assert.equal(answer.id, message.id)
    assert.equal(text_of_visitor, message.body)
    assert.equal("text", message.format)
    assert.equal(message.thread_id, message.author.id)
    assert.is_nil(message.thread_id:find(visitor:match "=(%x+)", 1, true))
    local events, text = events_of(visitor, 1)
    assert.equal(1, #events)
    assert.equal("visitor", events[1].from)
    assert.equal(text_of_visitor, events[1].text)
    assert.is_nil(text:find("<", 1, true))
    assert.same({}, (events_of(arrive(), 0)))
    assert.same({}, running:complaints())
  end)

  it("brings the same message once, however often it is sent", function()
    start()
    local visitor, key = arrive(), new_key()
    for _ = 1, 3 do
      assert.equal(200, (say(visitor, "Again", { key = key })))
    end
    assert.equal(1, #events_of(visitor, 1))
  end)

  it("brings agents' replies to the open page, from any worker, each once", function()
    start()
    local visitor, thread = visitor_in_thread()
    assert(poller:synchronise())
    local path, pid = listen(visitor)
    assert.truthy(shell.wait_until(function()
      return shell.read_file(path):find("Hello", 1, true)
    end, 10))
    poller.lost = 2
    for number = 1, 20 do
      assert(poller:create("messages", { thread_id = thread, body = "Reply " .. number .. "!" }))
    end
    assert.truthy(shell.wait_until(function()
      return shell.read_file(path):find("Reply 20!", 1, true)
    end, 10))
    shell.run("kill " .. pid)
    local numbers, ids = {}, {}
    for _, event in ipairs((read_events(path))) do
      numbers[#numbers + 1] = event.from == "agent" and tonumber(event.text:match "%d+") or nil
      assert.is_nil(ids[event.id])
      ids[event.id] = true
    end
    assert.equal(20, #numbers)
    for number = 1, 20 do
      assert.equal(number, numbers[number])
    end
    assert.equal(5, #events_of(visitor, 5, "16"))
    assert.same({}, running:complaints())
  end)

  it("shows nothing of a reply but known fields, and urls that are of the web", function()
    start()
    local visitor, thread = visitor_in_thread()
    assert(poller:synchronise())
    assert(poller:create("messages", {
      thread_id = thread,
      body = HOSTILE,
      sender_name = HOSTILE,
      attachments = {
        { url = "https://x.example/a.PNG?x=1", filename = "a.PNG" },
        { url = "http://x.example/b", type = "video", filename = HOSTILE },
        { url = "https://x.example/c.pdf" },
        { url = "javascript:alert(1)" },
        { url = "data:text/html,x" },
        { url = 'https://x.example/"onload="' },
        { url = 7 },
        "text",
      },
      html = "<b>",
    }))
    local events, text = events_of(visitor, 2)
    assert.is_nil(text:find("<", 1, true))
    local reply = events[2]
    assert.equal(HOSTILE, reply.text)
    assert.equal(HOSTILE, reply.name)
    assert.is_nil(reply.html)
    assert.same({
      { url = "https://x.example/a.PNG?x=1", name = "a.PNG", kind = "image" },
      { url = "http://x.example/b", name = HOSTILE, kind = "video" },
      { url = "https://x.example/c.pdf", name = "https://x.example/c.pdf", kind = "link" },
    }, reply.attachments)
  end)

  it("shows the longest text that may be whole, and cuts no character in two", function()
    start()
    local visitor, thread = visitor_in_thread()
    assert(poller:synchronise())
    local longest = ("\240\159\152\128"):rep(20000)
    for _, body in ipairs { longest, "a" .. longest .. longest, "a" .. ("é"):rep(60000) } do
      assert(poller:create("messages", { thread_id = thread, body = body }))
    end
    local events = events_of(visitor, 4)
    assert.is_true(longest == events[2].text)
    assert.is_true("a" .. longest:sub(1, -5) == events[3].text)
    assert.is_true("a" .. ("é"):rep(39999) == events[4].text)
  end)

  it("names a link by its host, whatever follows the scheme", function()
    start()
    local visitor, thread = visitor_in_thread()
    assert(poller:synchronise())
    local urls = {
      ["https://x.example:8443/a?b#c"] = "x.example:8443",
      ["HTTP://bank.example@x.example"] = "x.example",
      ["http://["] = "[",
      ["http://?"] = "http://?",
    }
    for url, name in pairs(urls) do
      local content = { type = "rich_link", title = "Link", url = url }
      local params = { thread_id = thread, body = name, structured_content = content }
      assert(poller:create("messages", params))
    end
    local events = events_of(visitor, 5)
    for index = 2, 5 do
      assert.equal(events[index].text, events[index].cards[1].url_text)
    end
  end)

  it("shows structured contents, and sends what is chosen of them", function()
    start()
    local visitor, thread = visitor_in_thread()
    assert(poller:synchronise())
    local function send(content)
      local params = { thread_id = thread, body = "Choose", structured_content = content }
      return assert(poller:create("messages", params)).id
    end
    local id = send {
      type = "select",
      items = { { title = "Red", payload = "r" }, { title = "" }, 7, { title = "Blue" } },
    }
    send {
      type = "template",
      title = "Card",
      url = "javascript:x",
      items = {
        { type = "url", title = "Open", url = "https://x.example/" },
        { type = "url", title = "Bad", url = "javascript:x" },
        { type = "reply", title = "Yes", payload = "y" },
      },
    }
    send { type = "rich_link", title = "Link", url = "https://x.example/", url_text = "Here" }
    send {
      type = "carousel",
      items = { { title = "1" }, { subtitle = "no title" }, { title = "2" } },
    }
    send { type = "unknown", items = {} }
    local events = events_of(visitor, 6)
    assert.same({ { title = "Red", payload = "r" }, { title = "Blue" } }, events[2].choices)
    assert.same({
      {
        title = "Card",
        buttons = {
          { title = "Open", url = "https://x.example/" },
          { title = "Yes", payload = "y" },
        },
      },
    }, events[3].cards)
    local link = { title = "Link", url = "https://x.example/", url_text = "Here" }
    assert.same({ link }, events[4].cards)
    assert.same({ { title = "1" }, { title = "2" } }, events[5].cards)
    assert.equal("Choose", events[6].text)

    assert.equal(200, (say(visitor, "Red", { payload = "r", in_reply_to = id })))
    local chosen = received("messages.create")[2]
    assert.equal("r", chosen.structured_reply.payload)
    assert.equal(id, chosen.in_reply_to_id)
    assert.equal(404, (say(visitor, "Red", { payload = "r", in_reply_to = "elsewhere.a1" })))
  end)

  it("tells the place in the queue, of the thread or of a message of it", function()
    start()
    local visitor, thread = visitor_in_thread()
    assert(poller:synchronise())
    local id = received("messages.create")[1].id
    local update = { position = 3, estimated_wait_time = 120, thread_id = thread }
    assert(poller:queuing_update(update))
    assert(poller:queuing_update { position = 2, estimated_wait_time = 60, in_reply_to_id = id })
    assert(poller:queuing_update { position = 1, estimated_wait_time = 6, thread_id = "nobody" })
    local events = events_of(visitor, 3)
    assert.equal(3, #events)
    assert.equal("queue", events[2].type)
    assert.equal(3, events[2].position)
    assert.equal(120, events[2].wait)
    assert.equal(2, events[3].position)
  end)

  it("tells Engage Digital that a visitor has left, for good", function()
    start()
    assert(poller:synchronise())
    local created, problem = poller:create("messages", { thread_id = "chat-0", body = "Hello?" })
    assert.is_nil(created)
    assert.is_true(problem.fatal)
  end)

  it("sends typing, and that a reply was read, once", function()
    start()
    local visitor, thread = visitor_in_thread()
    assert(poller:synchronise())
    assert.equal(202, (post(visitor, "/typing", { text = "Hel" })))
    assert.equal("Hel", await("typing.start", 1)[1].preview)
    assert.equal(202, (post(visitor, "/typing", {})))
    assert.equal(thread, await("typing.stop", 1)[1].thread_id)
    local id = assert(poller:create("messages", { thread_id = thread, body = "Read me" })).id
    assert.equal(202, (post(visitor, "/read", { id = id })))
    assert.equal(200, (post(visitor, "/read", { id = id })))
    assert.same({ { id = id } }, await("status.mark_as_read", 1))
    local own = received("messages.create")[1].id
    for _, other in ipairs { own, "chat-0.a1", thread .. ".a99", "nonsense" } do
      assert.equal(404, (post(visitor, "/read", { id = other })))
    end
    assert.equal(404, (post((arrive()), "/read", { id = id })))
  end)

  it("sends a file as an attachment, up to its limit", function()
    start()
    local visitor = arrive()
    local binary = { "Content-Type: application/octet-stream", visitor }
    local function send(content, name, key)
      local path = ("/file?key=%s&name=%s"):format(key or new_key(), name)
      local answer = ask(path, content, binary, "POST")
      return answer.status, cjson.decode(answer.body)
    end
    local content = ("\0\1\2\255"):rep(300000)
    assert.equal(200, (send(content, "..%2Fa%0Ab.png")))
    assert.equal(200, (send("x", "%3Cb%3E")))
    local messages = received "messages.create"
    local encoded = shell.run("base64 -w 0", content).output
    assert.same({ { filename = ".._a_b.png", content = encoded } }, messages[1].attachments)
    assert.same({ { filename = "<b>", content = "eA==" } }, messages[2].attachments)
    local events, text = events_of(visitor, 2)
    assert.equal(".._a_b.png", events[1].file)
    assert.equal("<b>", events[2].file)
    assert.is_nil(text:find("<", 1, true))
    assert.equal(400, (send("", "empty")))
    assert.equal(400, (send(nil, "nothing")))
    assert.equal(400, (send("x", "")))
    assert.equal(400, (send("x", "name", "short")))
    assert.equal(413, (send(("x"):rep(6000000), "large")))
    assert.equal(2, #received "messages.create")
    assert.is_true(running:forgets_bodies())
  end)

  it("refuses what is no request, is too large, or has no key or text", function()
    start()
    local visitor = arrive()
    local cases = { "", "{", "[]", "7", '"x"', "{}", '{"key":7,"text":"x"}', "null" }
    for _, body in ipairs(cases) do
      assert.equal(400, ask("/say", body, { JSON, visitor }, "POST").status)
    end
    for _, more in ipairs {
      { text = "" },
      { text = 7 },
      { text = ("x"):rep(4001) },
      { key = "short" },
      { key = "with.dot.." },
      { key = ("x"):rep(65) },
      { payload = {} },
      { in_reply_to = 7 },
    } do
      assert.equal(400, (say(visitor, "x", more)))
    end
    assert.equal(413, (say(visitor, ("x"):rep(70000))))
    local invalid = ask("/say", '{"key":"12345678","text":"\255"}', { JSON, visitor })
    assert.equal(422, invalid.status)
    assert.equal(405, ask("/say", nil, { visitor }).status)
    assert.equal(404, ask("/elsewhere", nil, { visitor }).status)
    assert.same({}, sandbox:received())
  end)

  it("does nothing for another site's page, or for who is no visitor", function()
    start()
    local visitor = arrive()
    local body = cjson.encode { key = new_key(), text = "Hello" }
    local cases = {
      { 415, { "Content-Type: text/plain", visitor } },
      { 415, { "Content-Type: application/x-www-form-urlencoded", visitor } },
      { 403, { JSON } },
      { 403, { JSON, "Cookie: visitor=" .. ("x"):rep(32) } },
      { 403, { JSON, "Cookie: visitor=12" } },
      { 403, { JSON, visitor, "Origin: https://elsewhere.example" } },
      { 403, { JSON, visitor, "Origin: null" } },
      { 403, { JSON, visitor, "Sec-Fetch-Site: cross-site" } },
      { 200, { JSON, visitor, "Origin: " .. running.url, "Sec-Fetch-Site: same-origin" } },
    }
    for _, case in ipairs(cases) do
      assert.equal(case[1], ask("/say", body, case[2]).status)
    end
    assert.equal(1, #sandbox:received())
    assert.equal(403, (running:get "/events"))
    local foreign = ask("/events", nil, { visitor, "Sec-Fetch-Site: cross-site" })
    assert.equal(403, foreign.status)
  end)

  it("serves a page that runs nothing but its own script, and gives a cookie once", function()
    start()
    local visitor, cookie, page = arrive()
    assert.truthy(cookie:find "^visitor=%x+; Path=/; HttpOnly; SameSite=Strict; Max%-Age=%d+$")
    for _, path in ipairs { "/", "/chat.js", "/chat.css", "/elsewhere", "/say" } do
      local headers = ask(path, nil, {}).headers
      local policy = headers["content-security-policy"]
      assert.truthy(policy:find("default-src 'none'; script-src 'self'; style-src 'self'", 1, true))
      assert.is_nil(policy:find("unsafe", 1, true))
      assert.equal("nosniff", headers["x-content-type-options"])
    end
    assert.is_nil(page.body:find " on%a+=")
    assert.is_nil(page.body:find " style=")
    assert.is_nil(page.body:find "<script>")
    assert.equal("text/javascript; charset=utf-8", ask("/chat.js").headers["content-type"])
    local script = ask("/chat.js").body
    for banned in ("innerHTML outerHTML insertAdjacentHTML document.write eval"):gmatch "%S+" do
      assert.is_nil(script:find(banned, 1, true))
    end
    assert.is_nil(ask("/", nil, { visitor }).headers["set-cookie"])
    assert.equal(404, (running:get "/chat.lua"))
    assert.equal(404, (running:get "/../nginx.conf"))
  end)

  it("works with a cookie that only a secure page can set, as its program says", function()
    local original = shell.read_file "examples/web_chat/chat.lua"
    local program, replaced = original:gsub('COOKIE, ATTRIBUTES = "visitor", "', function()
      return 'COOKIE, ATTRIBUTES = "__Host-visitor", "; Secure'
    end)
    assert.equal(1, replaced)
    shell.run("cp -r examples/web_chat " .. directory:path_of "secure")
    directory:write("secure/chat.lua", program)
    start("chat", directory:path_of "secure")
    local cookie = ask("/", nil, {}).headers["set-cookie"]
    assert.truthy(cookie:find "^__Host%-visitor=%x+; Secure; Path=/; HttpOnly; SameSite=Strict; ")
    assert.equal(200, (say("Cookie: " .. cookie:match "^[^;]+", "Hello")))
    assert.equal(403, (say("Cookie: " .. cookie:match "^__Host%-([^;]+)", "Hello")))
  end)

  it("says what a visitor can mend, and nothing of what is not theirs", function()
    start "picky"
    local visitor = arrive()
    local status, answer = say(visitor, "Hello")
    assert.equal(422, status)
    assert.equal("This cannot be sent.", answer.message)
    assert.same({}, (events_of(visitor, 0)))
    running:stop()
    start "nobody"
    visitor = arrive()
    status, answer = say(visitor, "Hello secret")
    assert.equal(502, status)
    assert.is_nil(cjson.encode(answer):find("ource", 1, true))
    local log = shell.read_file(running.directory .. "/error.log")
    assert.truthy(log:find("source_not_found", 1, true))
    assert.is_nil(log:find("secret", 1, true))
    assert.is_nil(log:find(TOKEN, 1, true))
  end)

  it("keeps the last events of a long conversation", function()
    start()
    local visitor, thread = visitor_in_thread()
    assert(poller:synchronise())
    for number = 1, 230 do
      assert(poller:create("messages", { thread_id = thread, body = "Reply " .. number }))
    end
    local events = events_of(visitor, 200)
    assert.equal(200, #events)
    assert.equal("Reply 230", events[200].text)
    assert.equal("Reply 31", events[1].text)
  end)

  it("conforms", function()
    start()
    local _, thread = visitor_in_thread()
    local report = sendapi.check(running.url .. "/connector", TOKEN, {
      create = { thread_id = thread },
    })
    assert.is_true(report.ok, tostring(report))
    assert.same({}, running:complaints())
  end)
end)
