--- The conformance run, against connectors that nginx serves: a good one, and those with a defect.
local connector_server = require "spec.support.connector_server"
local connectors = require "spec.support.connectors"
local raising = require "spec.support.raising"
local sandboxes = require "spec.support.sandbox"
local sendapi = require "sendapi"

local TOKEN = connectors.token

local function sorted_keys(set)
  local list = {}
  for key in pairs(set) do
    list[#list + 1] = key
  end
  table.sort(list)
  return list
end

describe("sendapi.check", function()
  local running, base, sandbox

  setup(function()
    sandbox = sandboxes.start()
    running, base = connector_server.start()
  end)

  teardown(function()
    sandbox:stop()
    assert.same({}, running:complaints())
    running:stop()
  end)

  local function check(name, settings)
    return sendapi.check(base .. name, TOKEN, settings)
  end

  local function cases_of(report, verdict)
    local found = {}
    for _, case in ipairs(report.cases) do
      if case.verdict == verdict then
        found[case.name] = case
      end
    end
    return found
  end

  local function assert_clean(report)
    local text = tostring(report)
    assert.is_nil(text:find(TOKEN, 1, true))
    assert.is_nil(text:find "[%z\1-\9\11-\31\127]")
  end

  describe("passes", function()
    it("a connector that is made well, with nothing left out", function()
      local report = check "well"
      assert.are.equal("", table.concat(sorted_keys(cases_of(report, "failed")), "\n"))
      assert.same({}, cases_of(report, "not applicable"))
      assert.is_true(report.ok)
      assert.are.equal(#report.cases, report.passed)
      assert.are.equal(0, report.failed)
      assert_clean(report)
      -- and once more, on what the first run left behind
      assert.is_true(check("well").ok)
    end)

    it("one that lacks what is not needed", function()
      local report = check "headers_only"
      assert.is_true(report.ok, tostring(report))
      local name = "signature: the right one is accepted in the query, too"
      assert.same({ name }, sorted_keys(cases_of(report, "not applicable")))
      report = check "lower_case"
      assert.is_true(report.ok, tostring(report))
      name = "signature: upper-case hex is accepted, too"
      assert.same({ name }, sorted_keys(cases_of(report, "not applicable")))
    end)

    it("one that implements nothing else than implementation.info", function()
      for _, name in ipairs { "bare", "nulls" } do
        local report = check(name)
        assert.is_true(report.ok, tostring(report))
        assert.is_truthy(cases_of(report, "not applicable")["messages.list"])
      end
    end)

    it("one that takes agents' replies and nothing else", function()
      local report = check "realtime"
      assert.is_true(report.ok, tostring(report))
      local passed = cases_of(report, "passed")
      assert.is_truthy(passed["messages.create: keeps text of any language"])
      assert.is_nil(passed["threads.create: answers an id"])
    end)

    it("and writes nothing when it is told so", function()
      local report = check("well", { create = false })
      assert.is_true(report.ok, tostring(report))
      local skipped = cases_of(report, "not applicable")
      for _, name in ipairs { "messages.create", "threads.spam", "private_messages.delete" } do
        assert.are.equal("Nothing is to be written.", skipped[name].sentence)
      end
      assert.is_truthy(skipped["messaging.queuing_update: it is answered by any 2xx"])
    end)

    it("and begins with the list where it is told to", function()
      assert.are.equal(1, check("huge").failed)
      local report = check("huge", { since = "3dde" })
      assert.is_true(report.ok, tostring(report))
    end)

    it("and creates where it is told to", function()
      local name = "messages.create: answers an id"
      local skipped = cases_of(check "picky", "not applicable")
      assert.is_truthy(skipped[name].sentence:find("in the setting create", 1, true))
      assert.is_truthy(skipped["messages.spam: answers the whole object"])
      local report = check("picky", { create = { thread_id = "t9" } })
      assert.is_true(report.ok, tostring(report))
      assert.same({}, cases_of(report, "not applicable"))
      local failed = cases_of(check("picky", { create = { thread_id = "t8" } }), "failed")
      assert.is_truthy(failed[name].sentence:find("answered by an error", 1, true))
    end)
  end)

  describe("tells the connector that is", function()
    for _, name in ipairs(sorted_keys(connectors.broken)) do
      it(name .. " what to change, and nothing else", function()
        local fails = connectors.broken[name].fails
        local report = check(name)
        local failed = cases_of(report, "failed")
        assert.same(sorted_keys(fails), sorted_keys(failed), tostring(report))
        for case_name, part in pairs(fails) do
          local case = failed[case_name]
          assert.is_truthy(case.sentence:find(part, 1, true), case.sentence)
          assert.is_string(case.sent)
          assert.is_string(case.received)
          assert.is_true(#case.sent < 500 and #case.received < 500)
        end
        assert.is_false(report.ok)
        assert_clean(report)
      end)
    end
  end)

  describe("of a url where no connector is", function()
    it("says that no answer came", function()
      local report = sendapi.check("http://127.0.0.1:1/", TOKEN)
      assert.are.equal(1, report.failed)
      assert.are.equal(1, report.not_applicable)
      assert.is_truthy(report.cases[1].sentence:find("No answer came", 1, true))
      assert.is_truthy(report.cases[1].received:find("nothing: ", 1, true))
    end)

    it("says with which status it was refused", function()
      local report = sendapi.check(base:gsub("connector/$", "elsewhere"), TOKEN)
      assert.is_truthy(report.cases[1].sentence:find("status 404", 1, true))
    end)

    it("says that it took too long", function()
      local report = check("slow", { timeout = 0.2 })
      assert.are.equal(1, report.failed)
      assert.is_truthy(report.cases[1].sentence:find("timed out", 1, true))
    end)

    it("says that its certificate is not to be trusted, unless the authority is given", function()
      local url = sandbox.https .. "/realtime/sdk/plain"
      local report = sendapi.check(url, TOKEN, { ca_file = sandbox.ca_file })
      assert.is_truthy(report.cases[1].sentence:find("status 422", 1, true))
      report = sendapi.check(url, TOKEN)
      assert.is_truthy(report.cases[1].sentence:find("certificate", 1, true))
    end)

    it("says so of another token", function()
      local report = sendapi.check(base .. "well", TOKEN .. "x")
      assert.are.equal(1, report.failed)
      assert.is_truthy(report.cases[1].received:find("403 Invalid signature", 1, true))
    end)
  end)

  it("prints a line for each case, and what went over the wire for one that failed", function()
    local text = tostring(check "laconic")
    local passed = "\npassed          threads.spam: answers the whole object\n"
    assert.is_truthy(text:find(passed, 1, true))
    local failed = "\nFAILED          messages.spam: answers the whole object\n"
      .. "                The answer: expected an object whose id is a string"
    assert.is_truthy(text:find(failed, 1, true), text)
    assert.is_truthy(text:find('\n                sent: {"', 1, true), text)
    assert.is_truthy(text:find("\n                received: 200 {}\n", 1, true), text)
    assert.is_truthy(text:find "\n%d+ passed, 1 failed, 0 not applicable$", text)
  end)

  it("raises for nothing that a connector answers", function()
    local verdicts = 0
    for number = 1, 60 do
      local report = check(("wild-%d"):format(number * 7919))
      assert_clean(report)
      verdicts = verdicts + report.passed + report.failed
    end
    assert.is_true(verdicts > 600)
  end)

  it("raises for arguments that are none, at the caller's line", function()
    local function text(...)
      local arguments = { n = select("#", ...), ... }
      return raising.text(function()
        return (sendapi.check(arguments[1], arguments[2], arguments[3]))
      end)
    end
    local url = "http://127.0.0.1:1/"
    local wrong_url = "sendapi.check: url: expected something like https://example.com/connector"
    for _, wrong in ipairs { 5, "", "example.com", "ftp://a/", "http://a b/", "http://" } do
      assert.are.equal(wrong_url, text(wrong, TOKEN))
    end
    assert.is_truthy(text(url, nil):find("token: expected", 1, true))
    assert.is_truthy(text(url, ""):find("token: expected", 1, true))
    assert.is_truthy(text(url, TOKEN, 5):find("settings: expected a table", 1, true))
    assert.is_truthy(text(url, TOKEN, { tiemout = 1 }):find("did you mean 'timeout'?", 1, true))
    assert.is_truthy(text(url, TOKEN, { timeout = 0 }):find("above 0", 1, true))
    assert.is_truthy(text(url, TOKEN, { since = 1 }):find("since: expected a string", 1, true))
    assert.is_truthy(text(url, TOKEN, { create = true }):find("expected params, or false", 1, true))
  end)
end)
