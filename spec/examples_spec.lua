--- The examples run as they stand, as a user would run them.
local cjson = require "cjson"
local host = require "sendapi.sandbox.host"
local nginx = require "spec.support.nginx"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local LUA = shell.lua

describe("the examples", function()
  it("deliver all seven actions and see four refused: demo.lua", function()
    local result = shell.run(LUA .. " examples/demo.lua")
    assert.equal(0, result.status, result.output .. result.errors)
    local _, right = result.output:gsub("\n%+ client", "")
    assert.equal(11, right)
    assert.truthy(result.output:find("All as it should be.", 1, true))
  end)

  describe("quickstart.lua", function()
    local sandbox

    setup(function()
      sandbox = assert(host.start {
        sources = {
          ["8da592bc6fcf8bae41b2"] = {
            token = "56e79ea426735090665b1c107c757d6d3a692c061335e4728899af27f215edf3",
          },
        },
      })
    end)

    teardown(function()
      sandbox:stop()
    end)

    it("sends what the documents' PHP example sends", function()
      local command = ("SENDAPI_BASE_URL=%s %s examples/quickstart.lua"):format(sandbox.http, LUA)
      local result = shell.run(command)
      assert.equal("200: ok\n", result.output)
      assert.equal(
        '{"action":"messages.create","params":{"id":"890","author":{"id":"42",'
          .. '"created_at":"06/11/2017","screenname":"Alice"},"body":"Nice post!",'
          .. '"thread_id":"888"}}',
        sandbox:received()[1].body
      )
    end)

    it("says what went wrong", function()
      sandbox:fault { kind = "status", status = 404, text = "No such source" }
      local command = ("SENDAPI_BASE_URL=%s %s examples/quickstart.lua"):format(sandbox.http, LUA)
      local output = shell.run(command).output
      assert.truthy(output:find "^not delivered: forbidden: .*No such source", output)
    end)
  end)

  describe("openresty", function()
    local core = nginx.core()
    if not core then
      pending "needs a core for LuaJIT"
      return
    end

    local token = "56e79ea426735090665b1c107c757d6d3a692c061335e4728899af27f215edf3"
    local good = { thread = "42", author = { id = "7", name = "Ann" }, text = "Hello" }
    local sandbox, gateways

    setup(function()
      local function failing(status, text)
        return { token = token, fault = { kind = "status", status = status, text = text } }
      end
      sandbox = assert(host.start {
        sources = {
          chat = { token = token },
          late = { token = token, fault = { kind = "delay", seconds = 1 } },
          picky = failing(422, "Invalid resource format"),
          strict = failing(429, "Slow down"),
          broken = failing(500, "Oh dear"),
        },
      })
      gateways = {}
    end)

    teardown(function()
      for _, gateway in pairs(gateways) do
        gateway:stop()
      end
      sandbox:stop()
    end)

    local function start(source_id, outbox)
      return nginx.start_example("examples/openresty", {
        SENDAPI_BASE_URL = sandbox.http,
        SENDAPI_SOURCE = source_id,
        SENDAPI_TOKEN = token,
        SENDAPI_OUTBOX = outbox,
      })
    end

    --- The gateway to a source, started as its comments say.
    local function gateway_to(source_id)
      gateways[source_id] = gateways[source_id] or start(source_id)
      return gateways[source_id]
    end

    local function post(source_id, path, body)
      local got = gateway_to(source_id):post(path, body)
      return got.status, cjson.decode(got.body), got
    end

    local function but(changes)
      local changed = {}
      for name, value in pairs(good) do
        changed[name] = value
      end
      for name, value in pairs(changes) do
        changed[name] = value or nil
      end
      return changed
    end

    it("POST /chat delivers a message", function()
      local status, content, got = post("chat", "/chat", but { id = "first" })
      assert.equal(200, status)
      assert.same({ ok = true, id = "first" }, content)
      assert.truthy(got.headers:find "Content%-Type: application/json")
      local params = sandbox:received()[1].params
      assert.equal("first", params.id)
      assert.equal("42", params.thread_id)
      assert.equal("Hello", params.body)
      assert.equal("Ann", params.author.screenname)
      assert.equal("7", params.author.id)
      status, content = post("chat", "/chat", good)
      assert.equal(200, status)
      assert.truthy(content.id:find "^%x+$" and #content.id == 32)
    end)

    it("POST /typing answers at once, and is delivered", function()
      sandbox:clear()
      assert.equal(202, (post("chat", "/typing", { thread = "42", text = "Hel" })))
      assert.equal(202, (post("chat", "/typing", { thread = "42" })))
      assert.truthy(shell.wait_until(function()
        return #sandbox:received() == 2
      end, 20))
      assert.equal("typing.start", sandbox:received()[1].action)
      assert.equal("typing.stop", sandbox:received()[2].action)
    end)

    it("refuses what is no JSON object, or lacks something", function()
      local cases = {
        { "", "bad_json" },
        { "{", "bad_json" },
        { "7", "bad_json" },
        { '"text"', "bad_json" },
        { "[]", "bad_request", "thread" },
        { {}, "bad_request", "thread" },
        { but { thread = 42 }, "bad_request", "thread" },
        { but { text = "" }, "bad_request", "text" },
        { but { author = "Ann" }, "bad_request", "author.id" },
        { but { author = { id = "7" } }, "bad_request", "author.name" },
        { but { id = 7 }, "bad_request", "id" },
        { but { text = "\255" }, "invalid_params", "text" },
      }
      sandbox:clear()
      for _, case in ipairs(cases) do
        local status, content = post("chat", "/chat", case[1])
        assert.equal(400, status)
        assert.is_false(content.ok)
        assert.equal(case[2], content.error)
        assert.equal(case[3], content.field)
      end
      assert.equal(400, (post("chat", "/typing", "nonsense")))
      assert.same({}, sandbox:received())
    end)

    it("refuses what is too large, other methods and other paths", function()
      local status, content = post("chat", "/chat", but { text = ("x"):rep(65536) })
      assert.equal(413, status)
      assert.equal("http_413", content.error)
      assert.equal(200, (post("chat", "/chat", but { text = ("x"):rep(65000) })))
      local answer
      status, answer = gateway_to("chat"):get "/chat"
      assert.equal(405, status)
      assert.equal("http_405", cjson.decode(answer).error)
      status, answer = gateway_to("chat"):get "/elsewhere"
      assert.equal(404, status)
      assert.equal("http_404", cjson.decode(answer).error)
    end)

    it("says by its status whose fault it is", function()
      local cases = {
        { "picky", 422, "invalid_resource_format" },
        { "nobody", 502, "source_not_found" },
      }
      for _, case in ipairs(cases) do
        local status, content = post(case[1], "/chat", good)
        assert.equal(case[2], status)
        assert.equal(case[3], content.error)
      end
    end)

    it("tries again what may succeed later, then says so", function()
      local status, content
      local finish = gateway_to("strict"):begin_post("/chat", good)
      status, content = post("broken", "/chat", good)
      assert.equal(502, status)
      assert.equal("server_error", content.error)
      status, content = finish()
      assert.equal(429, status)
      assert.equal("throttled", cjson.decode(content).error)
    end)

    it("GET /metrics has the figures, and requests do not wait for one another", function()
      local gateway = gateway_to "late"
      local finish = gateway:begin_post("/chat", good)
      assert.truthy(shell.wait_until(function()
        local status, figures = gateway:get "/metrics"
        assert.equal(200, status)
        return figures:find('sendapi_pending{source="late"} 1\n', 1, true)
      end, 20))
      assert.equal(200, (finish()))
      local _, figures = gateway:get "/metrics"
      assert.truthy(figures:find('sendapi_delivered_total{source="late"} 1\n', 1, true))
    end)

    describe("with an outbox #house", function()
      local directory, gateway

      before_each(function()
        sandbox:clear()
        directory = temporary.directory()
      end)

      after_each(function()
        gateway:stop()
        sandbox:revive()
        directory:remove()
      end)

      local function chat(id)
        local got = gateway:post("/chat", but { id = id })
        return got.status, cjson.decode(got.body)
      end

      local function check_arrivals(ids)
        assert.truthy(shell.wait_until(function()
          return #sandbox:received() >= #ids
        end, 20))
        for i, entry in ipairs(sandbox:received()) do
          assert.equal(ids[i], entry.params.id)
        end
      end

      it("keeps what the service is away for, and also over a restart", function()
        gateway = start("chat", directory:path_of "outbox.db")
        sandbox:kill()
        assert.equal(200, (chat "1"))
        assert.equal(200, (chat "2"))
        assert(sandbox:revive())
        check_arrivals { "1", "2" }
        sandbox:kill()
        assert.equal(200, (chat "3"))
        gateway:stop()
        assert(sandbox:revive())
        gateway = start("chat", directory:path_of "outbox.db")
        check_arrivals { "1", "2", "3" } -- though nobody has called yet
        assert.equal(200, (chat "4"))
        check_arrivals { "1", "2", "3", "4" }
      end)

      it("that cannot be used answers so, and visitors see no path", function()
        gateway = start("chat", directory:path_of "nowhere/outbox.db")
        local status, content = chat "1"
        assert.equal(503, status)
        assert.same({
          ok = false,
          error = "storage",
          message = "the gateway cannot deliver now",
        }, content)
        assert.same({}, sandbox:received())
      end)
    end)

    it("does not start without its settings, and says so", function()
      local started, message = pcall(nginx.start_example, "examples/openresty", {})
      assert.is_false(started)
      assert.truthy(message:find("SENDAPI_SOURCE is not set", 1, true))
    end)
  end)

  describe("game_server", function()
    local SOURCE = "examples/game_server/game_server.c"
    local directory, sandbox

    setup(function()
      directory = temporary.directory()
      sandbox = assert(host.start {
        sources = {
          ["8da592bc6fcf8bae41b2"] = {
            token = "56e79ea426735090665b1c107c757d6d3a692c061335e4728899af27f215edf3",
          },
        },
      })
    end)

    teardown(function()
      sandbox:stop()
      directory:remove()
    end)

    --- Builds it by the line in its comment, for the Lua at hand; with sanitizers if the core has.
    local function build()
      local program = directory:path_of "game_server"
      local core = package.searchpath and package.searchpath("sendapi.core", package.cpath) or ""
      local sanitizers = core:find("/sanitized/", 1, true) and " -fsanitize=address,undefined" or ""
      local command = shell.read_file(SOURCE):match "%* +(cc [^\n]+)"
      command = command:gsub("lua5%.4", LUA):gsub("%-o game_server", "-o " .. program)
      local result = shell.run(command .. sanitizers)
      assert.equal("", result.errors)
      assert.equal(0, result.status)
      return program
    end

    --- Plays; how many messages were said, each of which was delivered or stored.
    local function play(seconds, outbox)
      local command = "SENDAPI_BASE_URL=%s %s %s examples/game_server/chat.lua %d"
      local variable = outbox and "SENDAPI_OUTBOX=" .. shell.quote(outbox) or ""
      local result = shell.run(command:format(sandbox.http, variable, build(), seconds))
      assert.equal("", result.errors)
      assert.equal(0, result.status)
      local pattern = "^%d ticks, (%%d+) messages, %%1 delivered\n"
      local said = result.output:match(pattern:format(seconds * 60))
      return assert(tonumber(said), result.output), result.output
    end

    it("lets 200 players chat, and says what that took of a tick", function()
      local said, output = play(3)
      assert.equal(#sandbox:received(), said)
      assert.is_true(said >= 300)
      assert.truthy(output:find("99%.9 %% [%d.]+ ms, worst [%d.]+ ms\n$"), output)
    end)

    it("keeps in an outbox what the service is away for #house", function()
      local outbox = directory:path_of "outbox.db"
      sandbox:clear()
      sandbox:kill()
      local said = play(1, outbox)
      assert.is_true(said >= 100)
      assert(sandbox:revive())
      said = said + play(1, outbox)
      assert.is_true(#sandbox:received() > 0)
      local options = { base_url = sandbox.http, outbox = outbox }
      local client = sendapi.client("8da592bc6fcf8bae41b2", send_api.token, options)
      local is_empty = shell.wait_until(function()
        return client:outbox():pending() == 0
      end, 20)
      client:close()
      assert.truthy(is_empty)
      assert.is_true(#sandbox:received() >= said)
    end)
  end)
end)
