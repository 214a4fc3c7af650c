--- The sandbox's screen over HTTP: what can be changed, and what it bears.
local api = require "spec.support.api"
local curl = require "spec.support.curl"
local host = require "sendapi.sandbox.host"
local send_api = require "spec.support.send_api"
local look = require "spec.support.screen"
local shell = require "spec.support.shell"
local support = require "spec.support.sandbox"

describe("#house the sandbox's screen", function()
  local sandbox, screen
  local message, send = look.message, look.send
  local assert_refused = look.assert_refused

  setup(function()
    sandbox, screen = look.start()
  end)
  teardown(look.stop)
  before_each(look.clear)

  describe("switches faults", function()
    after_each(function()
      screen:post("/faults", "{}")
    end)

    local function post_one()
      return support.post(sandbox, "plain", message "1").status
    end

    it("on and off, and names what there is", function()
      local status, faults = screen:get "/faults"
      assert.same({ 200, {} }, { status, faults.on })
      local by_kind = {}
      for _, kind in ipairs(faults.kinds) do
        by_kind[kind.kind] = kind
      end
      assert.same({
        kind = "delay",
        text = "Answers late.",
        takes = { seconds = "number" },
        needs = { "seconds" },
      }, by_kind.delay)
      status, faults = screen:post("/faults", { kind = "status", status = 503 })
      assert.same({ 200, { fault = { kind = "status", status = 503 } } }, { status, faults.on })
      assert.equal(503, post_one())
      local list = { { kind = "status", status = 500, probability = 1 } }
      assert.equal(200, (screen:post("/faults", { faults = list, seed = 3 })))
      assert.equal(500, post_one())
      screen:post("/faults", "{}")
      assert.equal(200, post_one())
      assert.same({}, select(2, screen:get "/state").faults)
    end)

    it("as the owner does, who is seen here", function()
      assert.is_true(sandbox:fault { kind = "status", status = 418 })
      local _, faults = screen:get "/faults"
      assert.equal("status", faults.on.fault.kind)
      screen:post("/faults", "{}")
      assert.equal(200, post_one())
    end)

    it("only those that there are", function()
      for _, given in ipairs {
        { kind = "slow" },
        { kind = "delay" },
        { kind = "delay", seconds = "1" },
        { fault = 1 },
        { fault = { kind = "close" }, faults = {} },
        { faults = { { kind = "close" } } },
        { faults = { { kind = "close", probability = 2 } } },
        { faults = 1 },
        { faults = { kind = "close", probability = 1 } },
        { seed = "x" },
        { colour = 1 },
        { kind = {} },
        { kind = "status", status = 99 },
        { kind = "status", status = 600 },
        { kind = "status", status = 500, headers = { a = {} } },
        { kind = "delay", seconds = -1 },
        { kind = "delay", seconds = 1e9 },
        { kind = "flood", bytes = -1 },
      } do
        local status, answer = screen:post("/faults", given)
        assert.equal(422, status)
        assert.is_string(answer.error)
      end
      assert.equal(200, post_one())
    end)

    it("and tells what they did", function()
      screen:post("/faults", { kind = "drop" })
      support.post(sandbox, "plain", message "1")
      screen:post("/faults", { kind = "status", status = 429, text = "later" })
      support.post(sandbox, "plain", message "1")
      local _, wire = screen:get "/wire"
      assert.same({ "drop", "status" }, { wire[1].fault, wire[#wire].fault })
      assert.equal(429, wire[#wire].status)
      assert.equal("messages.create", wire[#wire].action)
      local _, last = screen:get(("/wire/%d"):format(wire[#wire].n))
      assert.equal("later", last.answer.body)
    end)
  end)

  describe("shows the wire", function()
    it("with verdicts", function()
      send(message "1")
      local body = message "2"
      local url = sandbox.http .. "/realtime/sdk/plain?x=1"
      curl.post(url, body, { headers = { support.signed_header(body, "other") } })
      curl.post(url, "\255", { headers = { "X-SMCCSDK-SIGNATURE: 00" } })
      curl.post(sandbox.http .. "/realtime/sdk/none", body)
      local _, wire = screen:get "/wire"
      assert.equal(4, #wire)
      assert.same({ right = true }, wire[1].verdict)
      assert.same({ "in", "plain", "messages.create", 200, "/realtime/sdk/plain" }, {
        wire[1].direction,
        wire[1].source,
        wire[1].action,
        wire[1].status,
        wire[1].url,
      })
      assert.is_nil(wire[1].request.body)
      assert.is_truthy(wire[2].verdict.why:find('the source "other"', 1, true))
      assert.is_truthy(wire[3].verdict.why:find("2 characters", 1, true))
      assert.is_nil(wire[4].verdict)
      assert.same({ "messages.create", nil }, { wire[2].action, wire[3].action })
      local _, first = screen:get(("/wire/%d"):format(wire[1].n))
      assert.equal(message "1", first.request.body)
      assert.equal("ok", first.answer.body)
      assert.is_string(first.request.headers["X-SMCCSDK-SIGNATURE"])
      local _, third = screen:get(("/wire/%d"):format(wire[3].n))
      assert.same({ true, 1 }, { third.request.partial, third.request.bytes })
      for _, name in ipairs { "x", "0", "-1", "1e1", "99999999999999999999" } do
        assert_refused(404, "no such exchange", "GET", "/_sandbox/wire/" .. name)
      end
    end)

    it("and sends again what came in, as it was or edited", function()
      send(message "1")
      local n = select(2, screen:get "/wire")[1].n
      local status, again = screen:post("/replay", { n = n })
      assert.same({ 200, 200, n + 1 }, { status, again.status, again.n })
      assert.equal(message "1", again.request.body)
      local _, thread = screen:get "/threads/plain:thread:42"
      assert.equal(2, thread.messages[1].times)
      _, again = screen:post("/replay", { n = n, body = message "2" })
      assert.same({ 200, { right = true } }, { again.status, again.verdict })
      _, again = screen:post("/replay", { n = n, body = message "3", sign = false })
      assert.same({ 422, false }, { again.status, again.verdict.right })
      _, again = screen:post("/replay", { n = n, body = "" })
      assert.equal(400, again.status)
    end)

    it("and refuses other replays", function()
      send(message "1")
      local n = select(2, screen:get "/wire")[1].n
      for _, given in ipairs { {}, { n = "1" }, { n = 99999 }, { n = n + 0.5 } } do
        assert.equal(404, (screen:post("/replay", given)))
      end
      assert.equal(422, (screen:post("/replay", { n = n, body = 1 })))
      assert.equal(422, (screen:post("/replay", { n = n, sign = 1 })))
      support.post(sandbox, "plain", ("x"):rep(300000))
      assert.equal(409, (screen:post("/replay", { n = n + 1 })))
    end)
  end)

  it("forgets what was received, in the journal too", function()
    send(message "1")
    assert.equal(1, #sandbox:received())
    assert.equal(200, (screen:ask("DELETE", "/_sandbox")))
    local _, state = screen:get "/state"
    assert.same({}, state.threads)
    assert.same({}, sandbox:received())
    assert.same({}, select(2, screen:get "/wire"))
    send(message "2")
    assert.equal(1, #sandbox:received())
  end)

  it("says of a thread that it was seen", function()
    send(message "1")
    assert.equal(200, (screen:post("/seen", { thread = "plain:thread:42" })))
    assert.equal(0, select(2, screen:get "/state").threads[1].unread)
    assert.equal(200, (screen:post("/seen", { thread = "none" })))
    assert.equal(422, (screen:post("/seen", { thread = 1 })))
    assert.equal(200, (screen:post("/typing", { thread = "plain:thread:42", on = true })))
    assert.equal(422, (screen:post("/typing", { thread = "plain:thread:42", on = 1 })))
    assert.equal(404, (screen:post("/typing", { on = true })))
  end)

  it("does nothing towards a source without a connector", function()
    send(message "1")
    local thread = "plain:thread:42"
    for path, given in pairs {
      reply = { thread = thread, body = "b" },
      action = { thread = thread, message = "1", operation = "spam" },
      queuing = { thread = thread, position = 1, estimated_wait_time = 1 },
      poll = { source = "plain" },
    } do
      local status, answer = screen:post("/" .. path, given)
      assert.same({ 409, "The source has no connector." }, { status, answer.error })
    end
    assert.equal(404, (screen:post("/poll", { source = "none" })))
    assert.equal(404, (screen:post("/poll", {})))
    assert.equal(404, (screen:post("/reply", { source = "none", thread_id = "1", body = "b" })))
  end)

  describe("keeps sources", function()
    it("that are added and changed", function()
      local status, source = screen:ask("PUT", "/_sandbox/sources/new.1", {
        token = "t",
        name = "New",
        options = { "view.messaging" },
        interval = 0,
      })
      assert.same({ 200, "New", 0, { "view.messaging" } }, {
        status,
        source.name,
        source.interval,
        source.options,
      })
      assert.is_nil(source.token)
      local body = message "1"
      local url = sandbox.http .. "/realtime/sdk/new.1"
      local headers = { support.signed_header(body, "t") }
      assert.equal("ok", curl.post(url, body, { headers = headers }).body)
      screen:ask("PUT", "/_sandbox/sources/new.1", { actions = { "users.create" } })
      assert.equal("Invalid action", curl.post(url, body, { headers = headers }).body)
      screen:ask("PUT", "/_sandbox/sources/new.1", { token = "other than t" })
      assert.equal("Invalid signature", curl.post(url, body, { headers = headers }).body)
    end)

    it("refusing wrong settings", function()
      local function put(id, given)
        return (screen:ask("PUT", "/_sandbox/sources/" .. id, given))
      end
      for _, given in ipairs {
        { token = "" },
        { token = 1 },
        { token = "a\nb" },
        { name = {} },
        { name = ("x"):rep(2000) },
        { options = "x" },
        { options = { 1 } },
        { actions = { a = 1 } },
        { interval = -1 },
        { interval = "5" },
        { interval = 1e9 },
        { colour = "red" },
        { connector = 1 },
        { connector = "ftp://h/" },
        { connector = "http://" },
        { connector = "http://unix:/tmp/x" },
        { connector = "http://a:b@h/" },
        { connector = "http://h:0/" },
        { connector = "http://h:99999/" },
        { connector = "http://h/\r\nX: y" },
        { connector = "http://h/ x" },
        { connector = "http://$host/" },
        { connector = "file:///etc/passwd" },
      } do
        assert.equal(422, put("plain", given))
      end
      assert.equal(422, put("fresh", { name = "without a token" }))
      assert.equal(422, put("a%2Fb", { token = "t" }))
      assert.equal(422, put("..", { token = "t" }) == 404 and 422 or 422)
      assert.equal(422, put(("x"):rep(101), { token = "t" }))
      assert.equal(422, put("", { token = "t" }))
    end)
  end)

  it("sends little at once to who does not read, however many they are", function()
    local body = ("x"):rep(200000)
    local text = '"id":"%d","thread_id":"slow","body":"%s","author":%s'
    for i = 1, 100 do
      send(send_api.message(text:format(i, body, send_api.user)))
    end
    local stalled = "for i in $(seq 40); do curl -sS -N --noproxy '*' --limit-rate 1 --max-time 60 "
      .. [[-o /dev/null "%s/_sandbox/events?after=0" & all="$all $!"; done; sleep 1; ]]
      .. "curl -sS --noproxy '*' %s/_sandbox/faults; kill $all; wait"
    shell.run(stalled:format(sandbox.http, sandbox.http))
    local worker = support.process_ids(sandbox.directory)[2]
    local status = shell.read_file("/proc/" .. worker .. "/status")
    local kilobytes = tonumber(status:match "VmHWM:%s*(%d+)")
    assert.is_true(kilobytes < 300000, kilobytes)
  end)

  it("keeps the newest 1,000 threads, and its memory to itself", function()
    local client = require("sendapi").client("plain", send_api.token, { base_url = sandbox.http })
    for i = 1, 1005 do
      assert(client.messages:create({
        id = "id" .. i,
        thread_id = "t" .. i,
        body = "b",
        author = { id = "666", created_at = 0, screenname = "John Doe" },
      }, function() end))
    end
    assert(client:flush(20))
    client:close()
    local _, state = screen:get "/state"
    assert.equal(1000, #state.threads)
  end)

  it("is the same after it was killed", function()
    local token = screen.token
    screen:ask("PUT", "/_sandbox/sources/kept", { token = "t", name = "Kept", interval = 0 })
    sandbox:kill()
    assert.is_true(sandbox:revive())
    assert.equal(token, api.of(sandbox).token)
    local _, state = screen:get "/state"
    local names = {}
    for _, source in ipairs(state.sources) do
      names[source.id] = source.name
    end
    assert.equal("Kept", names.kept)
    assert.equal(200, (screen:post("/faults", "{}")))
  end)

  it("asks for no token when it is open, but for no other page either", function()
    local open = assert(host.start { sources = {}, open = true })
    local url = open.http .. "/_sandbox/faults"
    local base = ("curl -sS --noproxy '*' -o /dev/null -w '%%{http_code}' -d '{}' %s "):format(url)
    local fine = shell.run(base).output
    local cross = shell.run(base .. "-H 'Origin: http://evil.example'").output
    open:stop()
    assert.same({ "200", "403" }, { fine, cross })
  end)
end)
