--- The sandbox's screen over HTTP: who may ask, and what is told.
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

  describe("lets nobody in", function()
    local port

    setup(function()
      port = sandbox.http:match "%d+$"
    end)

    local function asks(host_header)
      return screen:ask("GET", "/_sandbox/state", nil, { "Host: " .. host_header })
    end

    it("under another host's name", function()
      for _, name in ipairs { "127.0.0.1:", "localhost:", "LOCALHOST:", "[::1]:" } do
        assert.equal(200, (asks(name .. port)))
      end
      local hosts = {
        "evil.example:" .. port,
        "127.0.0.1",
        "127.0.0.1:1",
        "localhost.evil.example:" .. port,
        "192.168.1.1:" .. port,
        "127.0.0.1:" .. port .. ":" .. port,
      }
      for _, name in ipairs(hosts) do
        assert.equal(403, (asks(name)), name)
        assert.equal(403, (screen:ask("GET", "/", nil, { "Host: " .. name })))
        local headers = { "Host: " .. name, "X-Sandbox-Token: " .. screen.token }
        assert.equal(403, (screen:ask("POST", "/_sandbox/faults", "{}", headers)))
      end
    end)

    it("who changes something without the token", function()
      local wrong = {
        {},
        { "X-Sandbox-Token: wrong" },
        { "X-Sandbox-Token: " .. screen.token .. "0" },
        { "X-Sandbox-Token: " .. screen.token:sub(2) },
      }
      local changes = {
        { "POST", "/_sandbox/faults" },
        { "POST", "/_sandbox/reply" },
        { "POST", "/_sandbox/replay" },
        { "PUT", "/_sandbox/sources/plain" },
        { "DELETE", "/_sandbox" },
      }
      for _, headers in ipairs(wrong) do
        for _, change in ipairs(changes) do
          assert_refused(403, "X-Sandbox-Token", change[1], change[2], "{}", headers)
        end
      end
      assert.equal(200, (screen:get "/state"))
    end)

    it("from another page", function()
      local token = "X-Sandbox-Token: " .. screen.token
      for _, origin in ipairs { "http://evil.example", "null", "https://127.0.0.1:" .. port } do
        local headers = { token, "Origin: " .. origin }
        assert_refused(403, "another page", "POST", "/_sandbox/faults", "{}", headers)
      end
      local own = { token, "Origin: http://127.0.0.1:" .. port }
      assert.equal(200, (screen:ask("POST", "/_sandbox/faults", "{}", own)))
    end)

    it("over the ports of the Send API alone", function()
      for _, base in ipairs { sandbox.https, sandbox.https_other_name } do
        local answer = support.post(sandbox, "x", "", base, "--path-as-is -k")
        assert.equal(422, answer.status)
        local command = ("curl -sSk --noproxy '*' %s/_sandbox/state"):format(base)
        assert.equal("Not found", shell.run(command).output)
      end
    end)
  end)

  it("says to browsers what they may do with it", function()
    for _, path in ipairs { "/", "/_sandbox/state", "/_sandbox/nothing", "/_sandbox/page/x.js" } do
      local _, _, headers = screen:ask("GET", path)
      local policy = headers["content-security-policy"]
      assert.is_truthy(policy:find("default-src 'none'", 1, true))
      assert.is_truthy(policy:find("frame-ancestors 'none'", 1, true))
      assert.is_truthy(policy:find("require-trusted-types-for 'script'", 1, true))
      assert.equal("nosniff", headers["x-content-type-options"])
      assert.equal("no-referrer", headers["referrer-policy"])
      assert.is_nil(headers["access-control-allow-origin"])
    end
  end)

  it("has no files but the page's", function()
    for _, name in ipairs {
      "../nginx.lua",
      "..%2fnginx.lua",
      "%2e%2e/nginx.lua",
      "none.js",
      "",
      "a.lua",
      ".js",
      "a/b.js",
      "a%00.js",
    } do
      local status = tonumber(shell.run(
        ("curl -sS --path-as-is --noproxy '*' -o /dev/null -w '%%{http_code}' '%s%s%s'"):format(
          sandbox.http,
          "/_sandbox/page/",
          name
        )
      ).output)
      assert.is_true(status == 404 or status == 400, name)
    end
  end)

  it("tells what was received", function()
    send(message "1")
    send(message("2", "43"))
    local status, state = screen:get "/state"
    assert.equal(200, status)
    assert.same({ "plain:thread:43", "plain:thread:42" }, {
      state.threads[1].key,
      state.threads[2].key,
    })
    assert.same({ "other", "plain" }, { state.sources[1].id, state.sources[2].id })
    assert.is_nil(state.sources[1].token)
    assert.is_number(state.event)
    local _, found = screen:get "/threads/plain%3Athread%3A42"
    assert.equal("body of 1", found.messages[1].body)
    assert.equal("plain:thread:42", found.thread.key)
    assert_refused(404, "no such thread", "GET", "/_sandbox/threads/none")
    assert_refused(404, "no such thread", "GET", "/_sandbox/threads/")
    assert_refused(404, "no such thread", "GET", "/_sandbox/threads/%ff")
  end)

  it("refuses what it does not know", function()
    assert_refused(404, "nothing here", "GET", "/_sandbox/none")
    assert_refused(404, "nothing here", "GET", "/_sandbox")
    assert_refused(404, "nothing here", "GET", "/_sandboxes")
    assert_refused(404, "nothing here", "DELETE", "/_sandbox/state")
    assert_refused(405, "another way", "GET", "/_sandbox/reply")
    assert_refused(405, "another way", "POST", "/_sandbox/state", "{}")
    assert_refused(405, "another way", "PATCH", "/_sandbox/sources/plain", "{}")
    assert.equal(404, (screen:ask("POST", "/", "{}")))
  end)

  it("refuses bodies that are no JSON object, or too long", function()
    for body, part in pairs {
      ["{"] = "not JSON",
      ["[1]"] = "an object",
      ["1"] = "an object",
      ['{"a":1,"a":2}'] = "twice",
      ['{"a":"\255"}'] = "bytes",
      ["{}\0"] = "JSON",
      [("["):rep(100) .. ("]"):rep(100)] = "too deep",
    } do
      for _, path in ipairs { "faults", "reply", "action", "poll", "replay", "seen" } do
        assert_refused(400, part, "POST", "/_sandbox/" .. path, body)
      end
      assert_refused(400, part, "PUT", "/_sandbox/sources/plain", body)
    end
    local long = '{"body":"' .. ("x"):rep(1048577) .. '"}'
    assert_refused(413, "1 MiB", "POST", "/_sandbox/reply", long)
  end)

  it("shows a message whose fields are hostile", function()
    local deep = ("["):rep(900) .. ("]"):rep(900)
    send(message("1", "42", ',"structured_reply":{"payload":' .. deep .. "}"))
    send(message("2", "42", ',"attachments":[{"url":"u","type":1e999,"x":' .. deep .. "}]"))
    send(message("3", "42", ',"in_reply_to_id":-1e999,"categories":[1e999,"c"],"actions":[1e999]'))
    assert.equal(200, (screen:get "/state"))
    local _, found = screen:get "/messages"
    assert.equal(3, #found.messages)
    for _, one in ipairs(found.messages) do
      assert.is_true(one.partial)
    end
    local text = screen:listen("/events?after=0", 0.3)
    local _, count = text:gsub("event: message\n", "")
    assert.is_true(count >= 3)
  end)

  describe("gives messages", function()
    it("of a thread, of a source, and after a number", function()
      send(message "1")
      send(message("2", "43"))
      local _, all = screen:get "/messages"
      assert.same({ 2, all.messages[2].n }, { #all.messages, all.last })
      local function ids(query)
        local status, found = screen:get("/messages?" .. query)
        assert.equal(200, status)
        local list = {}
        for i, one in ipairs(found.messages) do
          list[i] = one.id
        end
        return table.concat(list, " ")
      end
      assert.equal("1", ids "thread=42")
      assert.equal("1", ids "thread=plain:thread:42&source=plain")
      assert.equal("", ids "thread=42&source=other")
      assert.equal("", ids "thread=none")
      assert.equal("", ids "source=other")
      assert.equal("2", ids(("since=%d"):format(all.messages[1].n)))
      assert.equal("", ids(("since=%d"):format(all.last)))
      assert.equal("1 2", ids "from=customer")
      assert.equal("", ids "from=agent")
    end)

    it("refusing what it cannot understand", function()
      local queries = { "since=x", "since=-1", "wait=x", "wait=-1", "from=me", "since=1e5" }
      for _, query in ipairs(queries) do
        assert_refused(400, "expected", "GET", "/_sandbox/messages?" .. query)
      end
      assert.equal(200, (screen:get "/messages?wait=0&wait=9&x&=&thread"))
    end)

    it("as soon as there are any", function()
      local waiting = io.popen(
        ("curl -sS --noproxy '*' --max-time 20 '%s/_sandbox/messages?thread=44&wait=20'"):format(
          sandbox.http
        )
      )
      send(message("1", "43"))
      send(message("2", "44"))
      local answer = waiting:read "*a"
      waiting:close()
      assert.is_truthy(answer:find('"body of 2"', 1, true), answer)
    end)

    it("or none when time is over", function()
      local status, found = screen:get "/messages?thread=44&wait=0.1"
      assert.same({ 200, {} }, { status, found.messages })
    end)
  end)

  describe("sends events", function()
    it("as they happen, and what was missed", function()
      local _, state = screen:get "/state"
      send(message "1")
      local text = screen:listen(("/events?after=%d"):format(state.event), 0.5)
      assert.is_truthy(text:find(("id: %d\n"):format(state.event + 1), 1, true))
      local names = {}
      for name in text:gmatch "\nevent: (%l+)\n" do
        names[#names + 1] = name
      end
      assert.equal("wire message thread", table.concat(names, " "))
      local header = ("-H 'Last-Event-ID: %d'"):format(state.event + 1)
      text = screen:listen("/events?after=0", 0.5, header)
      assert.is_nil(text:find("event: wire", 1, true))
      assert.is_truthy(text:find("event: message", 1, true))
      text = screen:listen("/events", 0.3)
      assert.is_nil(text:find("event:", 1, true))
    end)

    it("to who listens while they happen", function()
      local listening = io.popen(
        ("curl -s -N --noproxy '*' --max-time 3 %s/_sandbox/events"):format(sandbox.http)
      )
      listening:read "*l" -- it has begun
      send(message "1")
      local seen = {}
      for line in listening:lines() do
        seen[#seen + 1] = line
        if line == "event: thread" then
          break
        end
      end
      listening:close()
      assert.equal("event: thread", seen[#seen])
    end)

    it("not after what is no number, and not to more than 64", function()
      assert_refused(400, "no number", "GET", "/_sandbox/events?after=x")
      local many = "curl -sS -N --noproxy '*' --max-time 2 -Z --parallel-immediate "
        .. "--parallel-max 80 -o /dev/null -w '%%{http_code}\\n' '%s/_sandbox/events?[1-80]'"
      local _, refused = shell.run(many:format(sandbox.http)).output:gsub("503", "")
      assert.equal(16, refused)
      assert.is_truthy(screen:listen("/events?after=0", 0.3):find("event:", 1, true))
    end)
  end)
end)
