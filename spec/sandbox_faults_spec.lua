--- Faults on demand: by source, by request, by probability, changed while the sandbox runs; and its
-- death and return.
local core = require "sendapi.core"
local host = require "sendapi.sandbox.host"
local plan = require "sendapi.sandbox.plan"
local sendapi = require "sendapi"
local send_api = require "spec.support.send_api"
local shell = require "spec.support.shell"
local support = require "spec.support.sandbox"

local BROKEN = 56 -- curl's words for a connection that was reset: while receiving, …
local BROKEN_SENDING = 55 -- … and while sending
local EMPTY, HALF = 52, 18

local function message(id)
  return send_api.message(
    ('"id":"%s","thread_id":"42","body":"Awesome post !","author":%s'):format(id, send_api.user)
  )
end

local sources = {
  plain = { token = send_api.token },
  dropping = { token = send_api.token, fault = { kind = "drop", reset = true } },
  halving = { token = send_api.token, fault = { kind = "half" } },
  dripping = { token = send_api.token, fault = { kind = "drip", seconds = 0.002 } },
  unheard = { token = send_api.token, fault = { kind = "reset", at = "before" } },
  interrupted = { token = send_api.token, fault = { kind = "reset", at = "middle" } },
  ignored = { token = send_api.token, fault = { kind = "reset" } },
  busy = { token = send_api.token, fault = { kind = "status", status = 503, retry_after = 7 } },
  limited = {
    token = send_api.token,
    fault = { kind = "status", status = 429, retry_after_date = 90 },
  },
  twice = { token = send_api.token, fault = { kind = "status", status = 500, times = 2 } },
}

--- Seconds since 1970 of an HTTP date.
local function seconds_of_date(text)
  return tonumber(shell.run("date -u +%s -d " .. shell.quote(text)).output)
end

describe("#house a fault of the sandbox", function()
  local sandbox

  setup(function()
    sandbox = assert(host.start { sources = sources })
  end)

  teardown(function()
    assert.equal("", shell.read_file(sandbox.log_file))
    sandbox:stop()
  end)

  before_each(function()
    sandbox:clear()
  end)

  after_each(function()
    assert.is_true(sandbox:fault(nil))
  end)

  local function post(source_id, id, base, extra)
    return support.post(sandbox, source_id, message(id or "1"), base, extra)
  end

  --- The one request that was received.
  local function only()
    local received = sandbox:received()
    assert.equal(1, #received)
    return received[1]
  end

  for _, protocol in ipairs { "http", "https" } do
    describe("by source, over " .. protocol, function()
      local function meet(source_id)
        return post(source_id, "1", sandbox[protocol])
      end

      it("accepts, then resets the connection", function()
        assert.equal(BROKEN, meet("dropping").exit)
        assert.equal(200, only().status)
      end)

      it("accepts, then sends half of the answer", function()
        local answer = meet "halving"
        assert.equal(HALF, answer.exit)
        assert.equal("ok", answer.body)
        assert.equal(200, only().status)
      end)

      it("accepts, then sends byte by byte", function()
        local start = core.now()
        local answer = meet "dripping"
        assert.equal("ok", answer.body)
        assert.equal(0, answer.exit)
        assert.is_true(core.now() - start > 0.15)
        assert.equal(200, only().status)
      end)

      it("resets before it reads, in the middle and after", function()
        for _, source_id in ipairs { "unheard", "interrupted", "ignored" } do
          sandbox:clear()
          assert.equal(BROKEN, meet(source_id).exit)
          local entry = only()
          assert.equal("reset", entry.fault)
          assert.is_nil(entry.status)
          assert.equal(source_id == "ignored", entry.body_bytes > 0)
        end
      end)
    end)
  end

  it("by source resets while the client still sends", function()
    local large = message(("1"):rep(8000000))
    for _, source_id in ipairs { "unheard", "interrupted" } do
      local exit = support.post(sandbox, source_id, large).exit
      assert.is_true(exit == BROKEN or exit == BROKEN_SENDING)
    end
  end)

  it("by source says Retry-After in both forms", function()
    local answer = post "busy"
    assert.equal(503, answer.status)
    assert.truthy(answer.headers:find "Retry%-After: 7\r\n")
    answer = post "limited"
    assert.equal(429, answer.status)
    local date = answer.headers:match "Retry%-After: (%a+, %d+ %a+ %d+ %d+:%d+:%d+ GMT)\r\n"
    local away = seconds_of_date(date) - os.time()
    assert.is_true(away >= 85 and away <= 91)
  end)

  it("by source happens so many times", function()
    assert.equal(500, post("twice").status)
    assert.equal(500, post("twice", "2").status)
    assert.equal(200, post("twice").status)
  end)

  describe("by an id", function()
    local meanings = {
      ["a__503"] = { kind = "status", status = 503 },
      ["a__429=2"] = { kind = "status", status = 429, retry_after = 2 },
      ["a__503@2*3"] = { kind = "status", status = 503, retry_after_date = 2, times = 3 },
      ["__drop"] = { kind = "drop" },
      ["a_b__drop=reset*1"] = { kind = "drop", reset = true, times = 1 },
      ["__503__half=reset"] = { kind = "half", reset = true },
      ["a__delay"] = { kind = "delay", seconds = 1 },
      ["a__delay=0.25"] = { kind = "delay", seconds = 0.25 },
      ["a__drip=0.001"] = { kind = "drip", seconds = 0.001 },
      ["a__flood=5"] = { kind = "flood", bytes = 5 },
      ["a__reset"] = { kind = "reset" },
      ["a__redirect"] = { kind = "redirect", to = "/elsewhere" },
      ["a__garbage*2"] = { kind = "garbage", times = 2 },
    }

    it("is what the end of the id says", function()
      for id, fault in pairs(meanings) do
        assert.same(fault, plan.of_id(id), id)
      end
      for id in ("503 _503 __ __99 __600 __status a__b __503a"):gmatch "%S+" do
        assert.is_nil(plan.of_id(id), id)
      end
    end)

    it("happens to that request alone", function()
      assert.equal(503, post("plain", "a__503").status)
      assert.equal("ok", post("plain", "a").body)
      assert.truthy(post("plain", "a__429=2").headers:find "Retry%-After: 2\r\n")
      assert.equal(EMPTY, post("plain", "a__drop").exit)
      assert.equal(EMPTY, post("plain", "a__close").exit)
      assert.equal(BROKEN, post("plain", "a__reset").exit)
      assert.equal(BROKEN, post("plain", "a__drop=reset").exit)
      assert.equal(HALF, post("plain", "a__half").exit)
      assert.equal(302, post("plain", "a__redirect").status)
      assert.equal(1, post("plain", "a__garbage").exit)
      assert.equal("flood", post("plain", "a__flood=5").body)
      assert.equal(28, post("plain", "a__delay=5", nil, "--max-time 0.3").exit)
      assert.equal("ok", post("plain", "a__drip=0").body)
    end)

    it("happens so many times to that id", function()
      for _, id in ipairs { "b__503*2", "c__503*2" } do
        assert.equal(503, post("plain", id).status)
        assert.equal(503, post("plain", id).status)
        assert.equal(200, post("plain", id).status)
      end
    end)

    it("is read from the thread where there is no id", function()
      local typing = send_api.request("typing.start", '{"thread_id":"a__500"}')
      assert.equal(500, support.post(sandbox, "plain", typing).status)
    end)

    it("goes before the sandbox's plan, and that before a source's", function()
      assert.is_true(sandbox:fault { kind = "status", status = 501 })
      assert.equal(503, post("plain", "a__503").status)
      assert.equal(501, post("plain", "a").status)
      assert.equal(501, post("busy", "a").status)
    end)

    it("needs a body that can be read", function()
      for _, params in ipairs { "", '"__503"', "{}", '{"id":["__503"]}', '{"id":1,"a":"__503"}' } do
        local body = ('{"params":%s,"a":"__503"}'):format(params)
        assert.not_equal(503, support.post(sandbox, "plain", body).status)
      end
    end)
  end)

  describe("by probability", function()
    local mix = {
      { kind = "status", status = 503, probability = 0.2 },
      { kind = "drop", probability = 0.1 },
    }

    --- Which of 400 messages meet which fault.
    local function fates(seed)
      assert.is_true(sandbox:fault { faults = mix, seed = seed })
      sandbox:clear()
      local options = { base_url = sandbox.http, retry = false, ordered = false }
      local client = sendapi.client("plain", send_api.token, options)
      local author = { id = "666", created_at = 0, screenname = "John Doe" }
      local refused = 0
      for id = 1, 400 do
        local params = { id = id, thread_id = "42", author = author, body = "x" }
        client.messages:create(params, function(ok)
          refused = refused + (ok and 0 or 1)
        end)
      end
      assert.is_true(client:flush(10))
      client:close()
      local met, count = {}, 0
      for _, entry in ipairs(sandbox:received()) do
        local id = entry.params and entry.params.id or entry.body:match '"id":"(%d+)"'
        if not met[id] then -- libcurl repeats what was dropped on a connection used before
          met[id] = entry.fault or "none"
          count = count + (entry.fault and 1 or 0)
        end
      end
      return met, count, refused
    end

    it("is the same for the same seed, whatever the order", function()
      local first, count, refused = fates(1)
      assert.is_true(count > 90 and count < 150, count)
      assert.is_true(refused > 50 and refused <= count)
      assert.same(first, (fates(1)))
      assert.not_same(first, (fates(2)))
    end)

    it("may be another one when the request comes again", function()
      assert.is_true(sandbox:fault { faults = { { kind = "close", probability = 0.5 } } })
      local outcomes = {}
      for _ = 1, 12 do
        outcomes[#outcomes + 1] = post("plain", "1").exit
      end
      table.sort(outcomes)
      assert.equal(0, outcomes[1])
      assert.equal(EMPTY, outcomes[12])
    end)
  end)

  it("may be there from the start", function()
    local other = assert(host.start {
      sources = { plain = { token = send_api.token } },
      faults = { { kind = "status", status = 500, probability = 1, times = 1 } },
      seed = 7,
    })
    local first = support.post(other, "plain", message "1").status
    local second = support.post(other, "plain", message "1").status
    other:stop()
    assert.same({ 500, 200 }, { first, second })
  end)

  it("counts anew when the plan is given again", function()
    for _ = 1, 3 do
      assert.is_true(sandbox:fault { kind = "status", status = 500, times = 1 })
      assert.equal(500, post("plain").status)
      assert.equal(200, post("plain").status)
    end
  end)

  it("raises at the caller's line when it is wrong", function()
    local function refused(expected, given)
      local ok, text = pcall(function()
        sandbox:fault(given)
      end)
      assert.is_false(ok)
      assert.truthy(text:find "sandbox_faults_spec.lua:%d+: sandbox: ")
      assert.truthy(text:find(expected, 1, true), text)
    end
    refused("a fault must be a table", "close")
    refused('no fault of the kind "slow"', { kind = "slow" })
    refused('"delay" needs a number in "seconds"', { kind = "delay" })
    refused('"delay" needs a number in "seconds"', { kind = "delay", seconds = "1" })
    refused('"delay" takes no "secnds"', { kind = "delay", seconds = 1, secnds = 1 })
    refused('not at "once"', { kind = "reset", at = "once" })
    refused("needs a probability", { faults = { { kind = "close" } } })
    refused("exceed 1", { faults = { { kind = "close", probability = 1.1 } } })
    refused("must be a list", { faults = 1 })
    refused("seed", { faults = {}, seed = 1.5 })
    refused("either", { faults = {}, fault = { kind = "close" } })
    refused('texts in "headers"', { kind = "status", status = 500, headers = { print } })
    refused("as JSON", { faults = { { kind = "close", probability = 0 }, [1e6] = 1 } })
    assert.equal(200, post("plain").status)
  end)
end)

describe("a plan", function()
  it("counts what comes again, and forgets what did not come for long", function()
    local texts = {}
    local made = plan.new { faults = { { kind = "close", probability = 0 } } }
    local function chance(text)
      texts[#texts + 1] = text
      return 0.5
    end
    for i = 1, 120000 do
      made:choose("s" .. i, chance)
      if i % 40000 == 1 then
        made:choose("again", chance)
      end
    end
    made:choose("again", chance)
    made:choose("s1", chance)
    assert.equal("0 4 again", texts[#texts - 1])
    assert.equal("0 1 s1", texts[#texts])
  end)
end)

describe("#house a sandbox that is killed", function()
  local sandbox

  before_each(function()
    sandbox = support.start()
  end)

  after_each(function()
    sandbox:stop()
  end)

  it("comes back on its ports, with its journal and its plan", function()
    local pids = support.process_ids(sandbox.directory)
    assert.equal(200, support.post(sandbox, "plain", message "1").status)
    assert.is_true(sandbox:fault { kind = "status", status = 500, times = 1 })
    for _ = 1, 2 do
      sandbox:kill()
      assert.is_true(support.are_gone(pids))
      assert.equal(7, support.post(sandbox, "plain", message "2").exit)
      assert.is_true(sandbox:revive())
      pids = support.process_ids(sandbox.directory)
    end
    assert.equal(500, support.post(sandbox, "plain", message "3").status)
    assert.equal(200, support.post(sandbox, "plain", message "4", sandbox.https).status)
    assert.equal(3, #sandbox:received())
    sandbox:stop()
    assert.is_true(support.are_gone(pids))
  end)

  it("has no half lines in its journal", function()
    support.post(sandbox, "plain", message "1")
    sandbox:kill()
    local journal = sandbox.directory .. "/received.jsonl"
    shell.write_file(journal, shell.read_file(journal) .. '{"source_id":"pla')
    assert.is_true(sandbox:revive())
    support.post(sandbox, "plain", message "2")
    assert.equal(2, #sandbox:received())
  end)

  it("can be stopped, and only a killed one revived", function()
    assert.is_nil((sandbox:revive()))
    sandbox:kill()
    sandbox:kill()
    sandbox:stop()
    sandbox:kill()
    assert.is_nil((sandbox:revive()))
    assert.equal(1, shell.run("test -e " .. shell.quote(sandbox.directory)).status)
  end)

  it("leaves nothing behind when its owner dies too", function()
    local script = [[
      local host = require "sendapi.sandbox.host"
      local sandbox = assert(host.start { sources = {} })
      sandbox:kill()
      print(sandbox.directory)
      io.stdout:flush()
      os.exit(0) -- without a word to the sandbox
    ]]
    local result = shell.run(("LUA_PATH=%s LUA_CPATH=%s %s -e %s"):format(
      shell.quote(package.path), shell.quote(package.cpath), shell.interpreter(),
      shell.quote(script)))
    local directory = result.output:match "^%S+"
    assert.truthy(directory)
    assert.is_true(shell.wait_until(function()
      return shell.run("test -e " .. shell.quote(directory)).status ~= 0
    end, 10))
  end)
end)
