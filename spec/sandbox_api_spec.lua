--- sendapi.sandbox, as users' own specs use it.
local cjson = require "cjson"
local core = require "sendapi.core"
local encoding = require "spec.support.encoding"
local journal = require "sendapi.sandbox.journal"
local raising = require "spec.support.raising"
local sandbox_support = require "spec.support.sandbox"
local sendapi = require "sendapi"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local AUTHOR = { id = "7", screenname = "Alice", created_at = "2026-01-01T00:00:00Z" }

local function message(id, thread)
  return { id = id, thread_id = thread, author = AUTHOR, body = "Hello" }
end

describe("sendapi.sandbox", function()
  local sandbox, client

  local function is_there(path)
    local file = io.open(path)
    if file then
      file:close()
    end
    return file ~= nil
  end

  describe("with one source", function()
    setup(function()
      sandbox = sendapi.sandbox()
      assert(sandbox:start())
      client = sandbox:client()
    end)

    before_each(function()
      assert(sandbox:fault())
      assert(sandbox:clear())
    end)

    teardown(function()
      client:close()
      sandbox:stop()
    end)

    it("has an id and a token of its own", function()
      local other = sendapi.sandbox {}
      assert.matches("^%x+$", sandbox.source_id)
      assert.are.equal(64, #sandbox.token)
      assert.are_not.equal(other.source_id, sandbox.source_id)
      assert.are_not.equal(other.token, sandbox.token)
    end)

    it("says where it is", function()
      assert.matches("^http://127%.0%.0%.1:%d+$", sandbox.base_url)
      assert.are.equal(sandbox.base_url .. "/", sandbox.url)
      assert.matches("^https://localhost:%d+$", sandbox.https_url)
      assert.is_true(is_there(sandbox.ca_file))
      assert.is_true(sandbox:is_running())
    end)

    it("shows no token", function()
      assert.are.equal("sendapi.Sandbox: " .. sandbox.url, tostring(sandbox))
    end)

    it("waits for a message", function()
      client.messages:create(message("1", "42"), function() end)
      local entries = assert(sandbox:wait_for { thread = "42", seconds = 30 })
      assert.are.equal(1, #entries)
      assert.are.equal("messages.create", entries[1].action)
      assert.are.equal("Hello", entries[1].params.body)
      assert(client:flush(30))
    end)

    it("waits for so many", function()
      for index = 1, 5 do
        client.messages:create(message("m" .. index, "42"), function() end)
      end
      local entries = assert(sandbox:wait_for { thread = "42", count = 5, seconds = 30 })
      assert.are.equal(5, #entries)
      assert.are.equal("m5", entries[5].params.id)
      assert(client:flush(30))
    end)

    it("gives more than are wanted when they are there", function()
      assert(client.messages:create(message("1", "42")))
      assert(client.messages:create(message("2", "42")))
      assert.are.equal(2, #assert(sandbox:wait_for { thread = "42" }))
    end)

    it("takes a thread's number for its id", function()
      assert(client.messages:create(message("1", 42)))
      assert(sandbox:wait_for { thread = 42, seconds = 0 })
      assert(sandbox:wait_for { thread = "42", seconds = 0 })
    end)

    it("takes the thread's own creation for one in it", function()
      assert(client.threads:create { id = "9", author = AUTHOR, title = "A", body = "b" })
      local entries = assert(sandbox:wait_for { thread = "9", seconds = 0 })
      assert.are.equal("threads.create", entries[1].action)
    end)

    it("tells actions and sources apart", function()
      assert(client.typing:start { thread_id = "42", in_reply_to_id = "1", preview = "…" })
      assert(client.messages:create(message("1", "42")))
      local of_typing = assert(sandbox:wait_for { action = "typing.start", seconds = 0 })
      assert.are.equal(1, #of_typing)
      assert(sandbox:wait_for { source = sandbox.source_id, count = 2, seconds = 0 })
      assert.is_nil((sandbox:wait_for { source = "another", seconds = 0 }))
    end)

    it("says what came instead", function()
      assert.are.same(
        { [2] = "0 of 1 requests in thread 42 within 0 s; nothing else came" },
        { sandbox:wait_for { thread = "42", seconds = 0 } }
      )
      assert(client.messages:create(message("1", "43")))
      local _, said = sandbox:wait_for { thread = "42", action = "messages.create", seconds = 0.1 }
      assert.are.equal(
        "0 of 1 messages.create in thread 42 within 0.1 s; "
          .. "1 other request came, the last: messages.create in thread 43",
        said
      )
    end)

    it("counts no request that was refused, and says why", function()
      local stranger = sandbox:client({ retry = false }, sandbox.source_id)
      local wrong = sendapi.client(sandbox.source_id, "wrong", { base_url = sandbox.base_url })
      assert(stranger.messages:create(message("1", "43")))
      assert.is_nil((wrong.messages:create(message("1", "42"))))
      local _, said = sandbox:wait_for { thread = "42", seconds = 0 }
      assert.matches("; 2 other requests came, .*: a request %(422 Invalid signature%)$", said)
      assert.are.equal(2, #sandbox:received())
      stranger:close()
      wrong:close()
    end)

    it("forgets", function()
      assert(client.messages:create(message("1", "42")))
      assert(sandbox:clear())
      assert.are.same({}, sandbox:received())
      assert.is_nil((sandbox:wait_for { seconds = 0 }))
    end)

    it("fails on demand, and no more", function()
      local hasty = sandbox:client { retry = false }
      assert(sandbox:fault { kind = "status", status = 503 })
      local ok, err = hasty.messages:create(message("1", "42"))
      assert.is_nil(ok)
      assert.are.equal(503, err.status)
      local _, said = sandbox:wait_for { seconds = 0 }
      assert.matches("the last: a request %(fault status%)$", said)
      assert(sandbox:fault())
      assert(hasty.messages:create(message("1", "42")))
      hasty:close()
    end)

    it("accepts structured contents", function()
      assert(client.messages:create(encoding.structured {
        type = "template",
        title = "Where to find us",
        items = { { type = "url", title = "Site", url = "https://example.com" } },
      }))
    end)

    it("serves over TLS", function()
      local secure = sandbox:client { base_url = sandbox.https_url, ca_file = sandbox.ca_file }
      assert(secure.messages:create(message("1", "42")))
      secure:close()
    end)

    it("does not start twice", function()
      assert.are.same({ [2] = "the sandbox runs already" }, { sandbox:start() })
    end)

    local wrong_calls = {
      ["sandbox:wait_for: expected a table, got a string"] = { "wait_for", "42" },
      ["sandbox:wait_for: expected a table, got a nil"] = { "wait_for" },
      ["sandbox:wait_for: there is no 'tread', did you mean 'thread'?"] = {
        "wait_for",
        { tread = "42" },
      },
      ["sandbox:wait_for: thread: expected a string, got a table"] = {
        "wait_for",
        { thread = {} },
      },
      ["sandbox:wait_for: action: expected a string, got a number"] = {
        "wait_for",
        { action = 1 },
      },
      ["sandbox:wait_for: count: expected a number from 1 on"] = { "wait_for", { count = 0 } },
      ["sandbox:wait_for: seconds: expected a number from 0 on"] = { "wait_for", { seconds = -1 } },
      ["sandbox:fault: a fault must be a table"] = { "fault", "close" },
      ['sandbox:fault: there is no fault of the kind "clos"'] = { "fault", { kind = "clos" } },
      ["sandbox:client: there is no source 'other'"] = { "client", nil, "other" },
    }

    for text, call in pairs(wrong_calls) do
      it("raises: " .. text, function()
        assert.are.equal(
          text,
          raising.text(function()
            local _ = sandbox[call[1]](sandbox, call[2], call[3])
          end)
        )
      end)
    end

    it("raises for a number that is none", function()
      for _, seconds in ipairs { 0 / 0, math.huge } do
        local said = raising.text(function()
          sandbox:wait_for { seconds = seconds }
        end)
        assert.are.equal("sandbox:wait_for: seconds: expected a number from 0 on", said)
      end
    end)

    it("raises for a client's wrong option", function()
      local said = raising.text(function()
        sandbox:client { timout = 1 }
      end)
      assert.matches("^sandbox:client: .*timeout", said)
    end)
  end)

  describe("with what it was told", function()
    it("has that source", function()
      local given = { id = "chat", token = "secret", options = { "messages.unthreaded" } }
      local made = sendapi.sandbox(given)
      assert(made:start())
      local own = made:client()
      assert.are.same({ "chat", "secret" }, { made.source_id, made.token })
      assert(own.messages:create { id = "1", author = AUTHOR, body = "no thread" })
      own:close()
      made:stop()
    end)

    it("has several sources, each with its faults", function()
      local made = sendapi.sandbox {
        sources = { b = { fault = { kind = "status", status = 500 } }, a = {} },
      }
      assert(made:start())
      local fine, failing = made:client(), made:client({ retry = false }, "b")
      assert.are.equal("a", made.source_id)
      assert.are_not.equal(made.sources.a.token, made.sources.b.token)
      assert(fine.messages:create(message("1", "42")))
      assert.is_nil((failing.messages:create(message("1", "42"))))
      fine:close()
      failing:close()
      made:stop()
    end)

    it("shows it on the agent's screen, open to everybody if so", function()
      local url = "http://127.0.0.1:1/connector"
      local made = sendapi.sandbox { id = "a", connector = url, interval = 0, open = true }
      assert(made:start())
      local own = made:client()
      assert(own.messages:create(message("1", "42")))
      local function ask(path, method)
        local at = made.base_url .. "/_sandbox" .. path
        return assert(core.exchange { url = at, method = method }).body
      end
      local source = cjson.decode(ask "/state").sources[1]
      assert.are.same({ "a", url, 0 }, { source.id, source.connector, source.interval })
      assert.are.equal(1, #cjson.decode(ask "/messages?thread=42").messages)
      assert(made:clear())
      assert.are.equal(0, #cjson.decode(ask "/messages?thread=42").messages)
      assert(own.messages:create(message("2", "42")))
      assert.are.equal("{}", ask("", "DELETE"))
      assert.are.same({}, made:received())
      own:close()
      made:stop()
    end)

    it("does not change what it was given", function()
      local given = { sources = { a = {} } }
      sendapi.sandbox(given)
      assert.are.same({ sources = { a = {} } }, given)
    end)

    it("listens where it does anyway, and at an IPv6 address in either form", function()
      local addresses = { "127.0.0.1", "localhost", "::1", "[::1]" }
      local has_ipv6 = shell.run("cat /proc/net/if_inet6").output:find "%s+lo%s"
      for i = 1, has_ipv6 and 4 or 2 do
        local address = addresses[i]
        local made = sendapi.sandbox { host = address }
        assert(made:start())
        local url = ("http://[::1]:%s/_sandbox/state"):format(made.base_url:match "%d+$")
        url = address:find "::1" and url or made.base_url .. "/_sandbox/state"
        assert.are.equal(200, assert(core.exchange { url = url }).status)
        made:stop()
      end
    end)

    it("listens at its port, and says when that is taken", function()
      local first = sendapi.sandbox {}
      assert(first:start())
      local port = tonumber(first.base_url:match "%d+$")
      local second = sendapi.sandbox { port = port }
      assert.are.same({ [2] = ("port %d is taken"):format(port) }, { second:start() })
      assert.is_false(second:is_running())
      first:stop()
      assert(second:start())
      assert.are.equal("http://127.0.0.1:" .. port, second.base_url)
      second:stop()
    end)
  end)

  describe("when it stops", function()
    it("leaves nothing behind, and may start again", function()
      local made = sendapi.sandbox {}
      assert(made:start())
      local directory = made.ca_file:match "^(.*)/"
      local pids = sandbox_support.process_ids(directory)
      made:stop()
      made:stop()
      assert.is_false(is_there(directory .. "/nginx.conf"))
      assert.is_true(sandbox_support.are_gone(pids))
      assert.are.same({}, { made.url, made.base_url, made.ca_file, made.screen_token })
      assert.are.equal("sendapi.Sandbox: not running", tostring(made))
      assert(made:start())
      assert.is_true(made:is_running())
      made:stop()
    end)

    it("notices that others have ended it", function()
      local made = sendapi.sandbox {}
      assert(made:start())
      local pids = sandbox_support.process_ids((made.ca_file:match "^(.*)/"))
      shell.run("kill -s TERM " .. pids[1])
      assert.is_true(shell.wait_until(function()
        return not made:is_running()
      end, 30))
      assert.is_nil((made:clear()))
      made:stop()
    end)

    it("has nothing to ask", function()
      local made = sendapi.sandbox {}
      for _, method in ipairs { "wait_for", "received", "clear", "fault", "client" } do
        local said = raising.text(function()
          local _ = made[method](made, {})
        end)
        assert.are.equal(
          ("sandbox:%s: it does not run; start() starts it"):format(method),
          said
        )
      end
      assert.is_false(made:is_running())
    end)

    it("wants to be called with a colon", function()
      local made = sendapi.sandbox {}
      for _, method in ipairs { "start", "stop", "is_running", "received" } do
        local said = raising.text(function()
          local _ = made[method]()
        end)
        assert.are.equal(("call it with a colon: sandbox:%s(...)"):format(method), said)
      end
    end)
  end)

  describe("refuses", function()
    local wrong_options = {
      ["expected a table of options, got a string"] = "8080",
      ["there is no option 'prot', did you mean 'port'?"] = { prot = 1 },
      ["there is no option '1'"] = { "port" },
      ["port: expected a number, got a string"] = { port = "8080" },
      ["port: expected a number from 0 (a free one) to 65535"] = { port = 65536 },
      ["https_port: expected a number from 0 (a free one) to 65535"] = { https_port = 1.5 },
      ["sources: expected a table, got a boolean"] = { sources = true },
      ["sources: there is none in it"] = { sources = {} },
      ["sources: 'a/b' is no id: expected letters, digits, _ and -"] = { id = "a/b" },
      ["sources: '' is no id: expected letters, digits, _ and -"] = { id = "" },
      ["sources: '1' is no id: expected letters, digits, _ and -"] = { sources = { {} } },
      ["source 'a': expected a table, got a string"] = { sources = { a = "token" } },
      ["source 'a': there is no option 'tokn', did you mean 'token'?"] = {
        sources = { a = { tokn = "x" } },
      },
      ["source 'a': token: it is empty"] = { id = "a", token = "" },
      ["source 'a': options: there is no 'view.mesaging', did you mean 'view.messaging'?"] = {
        id = "a",
        options = { "view.mesaging" },
      },
      ["source 'a': connector: expected something like http://127.0.0.1:3000/connector"] = {
        id = "a",
        connector = "ftp://127.0.0.1",
      },
      ["source 'b': connector: expected something like http://127.0.0.1:3000/connector"] = {
        id = "b",
        connector = "http://user:password@127.0.0.1/",
      },
      ["sources: '..' is no id: expected letters, digits, _ and -"] = { id = ".." },
      ["source 'a': interval: expected seconds; 0: none"] = { id = "a", interval = -1 },
      ["'token' is for a sandbox without 'sources': say it there"] = {
        sources = { a = {} },
        token = "x",
      },
      ["seed: expected a number, got a string"] = { seed = "1" },
      ['there is no fault of the kind "nil"'] = { fault = {} },
      ['the fault "close" needs a probability among others'] = { faults = { { kind = "close" } } },
      ['source "a": there is no fault of the kind "nil"'] = { sources = { a = { fault = {} } } },
    }

    for text, options in pairs(wrong_options) do
      it(text, function()
        local said = raising.text(function()
          local _ = sendapi.sandbox(options)
        end)
        assert.are.equal("sendapi.sandbox: " .. text, said)
      end)
    end

    it("an nginx that is not there, in plain words", function()
      local made = sendapi.sandbox { nginx = "no-such-nginx" }
      local ok, said = made:start()
      assert.is_nil(ok)
      assert.matches("^no%-such%-nginx was not found", said)
    end)
  end)

  describe("its journal", function()
    local directory, path, reader

    before_each(function()
      directory = temporary.directory()
      path = directory:path_of "received.jsonl"
      reader = journal.open(path)
    end)

    after_each(function()
      directory:remove()
    end)

    it("is read a whole line at a time", function()
      assert.are.equal("", reader:read())
      shell.write_file(path, "one\ntw")
      assert.are.equal("one\n", reader:read())
      shell.write_file(path, "one\ntwo\n")
      assert.are.equal("two\n", reader:read())
      assert.are.equal("", reader:read())
    end)

    it("begins anew when it was emptied", function()
      shell.write_file(path, "one\ntwo\n")
      reader:read()
      shell.write_file(path, "")
      assert.are.equal("", reader:read())
      shell.write_file(path, "three\n")
      assert.are.equal("three\n", reader:read())
    end)

    it("may hold what is no request", function()
      local entry = '{"status":200,"action":"messages.create","params":null,"source_id":"a"}\n'
      shell.write_file(path, '{"source_id":"a","fault":"close"}\n' .. entry)
      assert.is_nil((reader:wait_for { thread = "42", seconds = 0 }))
      local found = assert(journal.open(path):wait_for { seconds = 0 })
      assert.are.equal(1, #found)
    end)
  end)
end)
