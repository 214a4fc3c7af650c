--- What servers, networks and certificates do wrong, and the code that each of it gets.
local core = require "sendapi.core"
local host = require "sendapi.sandbox.host"
local sendapi = require "sendapi"

local TOKEN = "a token that nobody must ever see"
local MESSAGE = {
  id = "890",
  thread_id = "42",
  author = { id = "666", created_at = 0, screenname = "John Doe" },
  body = "Awesome post !",
}

local FAULTS = {
  late = { kind = "delay", seconds = 3 },
  dropping = { kind = "drop" },
  closing = { kind = "close" },
  halving = { kind = "half" },
  babbling = { kind = "garbage" },
  flooding = { kind = "flood", bytes = 100000000 },
  moved = { kind = "redirect", to = "/elsewhere", status = 302 },
  other = { kind = "body", text = "<html>fine</html>" },
  empty = { kind = "body", text = "" },
  spaced = { kind = "body", text = " ok\r\n" },
  busy = { kind = "status", status = 503, text = "Down" },
  broken = { kind = "status", status = 500, text = ("very long\n"):rep(2000) },
  slow_down = { kind = "status", status = 429, text = "Slow down" },
  hidden = { kind = "status", status = 404, text = "Not here" },
  secret = { kind = "status", status = 401, text = "Who are you?" },
  unknown = { kind = "status", status = 422, text = "Something new" },
  attribute = {
    kind = "status",
    status = 422,
    text = '`structured_content`: "title" must not be empty',
  },
  created = { kind = "status", status = 201, text = "ok" },
  teapot = { kind = "status", status = 418, text = "short" },
}

local EXPECTED = {
  late = { "timeout", "transient" },
  dropping = { "connection_closed", "transient" },
  closing = { "connection_closed", "transient" },
  halving = { "connection_closed", "transient", 200 },
  babbling = { "response_invalid", "transient" },
  flooding = { "response_too_large", "transient", 200 },
  moved = { "redirected", "source", 302 },
  other = { "unexpected_response", "transient", 200 },
  empty = { "unexpected_response", "transient", 200 },
  busy = { "server_error", "transient", 503 },
  broken = { "server_error", "transient", 500 },
  slow_down = { "throttled", "throttled", 429 },
  hidden = { "forbidden", "source", 404 },
  secret = { "forbidden", "source", 401 },
  unknown = { "refused", "message", 422 },
  attribute = { "structured_content_attribute_empty", "message", 422 },
  created = { "unexpected_response", "transient", 201 },
  teapot = { "unexpected_response", "transient", 418 },
}

local RETRYABLE = { transient = true, throttled = true }

describe("a failed delivery", function()
  local sandbox

  setup(function()
    local sources = { plain = { token = TOKEN } }
    for id, fault in pairs(FAULTS) do
      sources[id] = { token = TOKEN, fault = fault }
    end
    sandbox = assert(host.start { sources = sources })
  end)

  teardown(function()
    sandbox:stop()
  end)

  --- Sends one message; gives what came of it, and the seconds it took.
  local function send(options, source_id)
    options.timeout = options.timeout or 10
    options.retry = false
    local sender = sendapi.client(source_id or "plain", TOKEN, options)
    local start = core.now()
    local ok, err = sender.messages:create(MESSAGE)
    local seconds = core.now() - start
    sender:close()
    if err then
      assert.is_nil(tostring(err):find(TOKEN, 1, true))
    end
    return ok, err, seconds
  end

  local function check(err, code, class, status)
    assert.equal(code, err.code)
    assert.equal(class, err.class)
    assert.equal(status, err.status)
    assert.equal(1, err.attempts)
    assert.equal(RETRYABLE[class] or false, err.retryable)
    assert.is_string(err.message)
  end

  for source_id, expected in pairs(EXPECTED) do
    it(("of the kind '%s' is %s"):format(source_id, expected[1]), function()
      local options = { base_url = sandbox.http, timeout = source_id == "late" and 0.5 or 10 }
      local ok, err, seconds = send(options, source_id)
      assert.is_nil(ok)
      check(err, expected[1], expected[2], expected[3])
      assert.is_true(seconds < 9, ("took %.1f s"):format(seconds))
    end)
  end

  it("keeps at most 4096 bytes of what the server said, and quotes less", function()
    local _, err = send({ base_url = sandbox.http }, "broken")
    assert.equal(4096, #err.body)
    assert.is_true(#err.message < 400)
    assert.is_nil(err.message:find "%c")
  end)

  it("is none when white space is round the ok", function()
    assert.is_true((send({ base_url = sandbox.http }, "spaced")))
  end)

  it("leaves the client fit for the next call", function()
    for _, source_id in ipairs { "dropping", "flooding", "babbling", "late" } do
      local timeout = source_id == "late" and 0.5 or 10
      local options = { base_url = sandbox.http, timeout = timeout, retry = false }
      local sender = sendapi.client(source_id, TOKEN, options)
      local _, err = sender.messages:create(MESSAGE)
      assert.equal(EXPECTED[source_id][1], err.code)
      assert.is_true((send { base_url = sandbox.http }))
      sender:close()
    end
  end)

  it("is connection_refused where nothing listens", function()
    local _, err = send { base_url = "http://127.0.0.1:1" }
    check(err, "connection_refused", "transient")
  end)

  it("costs no attempts where nothing listens, unless there is a single one", function()
    for attempts = 1, 2 do
      local sender = sendapi.client("plain", TOKEN, {
        base_url = "http://127.0.0.1:1",
        deadline = 1,
        retry = { attempts = attempts, first = 0.01, longest = 0.02 },
      })
      local _, err = sender.messages:create(MESSAGE)
      assert.equal("connection_refused", err.code)
      assert.equal(attempts > 1, err.attempts > attempts)
      sender:close()
    end
  end)

  it("is name_not_resolved for a dead name", function()
    local _, err, seconds = send { base_url = "https://nowhere.invalid", connect_timeout = 20 }
    assert.is_true(seconds < 25)
    check(err, "name_not_resolved", "transient")
  end)

  it("is connection_failed where no server can be", function()
    local _, err = send { base_url = "http://[fe80::1%25lo]:1", insecure_http = true, timeout = 2 }
    check(err, "connection_failed", "transient")
  end)

  describe("over TLS", function()
    it("is none with the right authority", function()
      assert.is_true((send { base_url = sandbox.https, ca_file = sandbox.ca_file }))
    end)

    it("is certificate_untrusted with an unknown authority", function()
      local _, err = send { base_url = sandbox.https }
      check(err, "certificate_untrusted", "source")
    end)

    it("is certificate_untrusted when the authority's file holds none", function()
      local _, err = send { base_url = sandbox.https, ca_file = sandbox.log_file }
      check(err, "certificate_untrusted", "source")
    end)

    it("is certificate_wrong_host when it is for another name", function()
      local _, err = send { base_url = sandbox.https_other_name, ca_file = sandbox.ca_file }
      check(err, "certificate_wrong_host", "source")
    end)

    it("is tls_failed when the server speaks no TLS", function()
      local _, err = send { base_url = (sandbox.http:gsub("^http:", "https:")) }
      check(err, "tls_failed", "transient")
    end)

    it("does not lend one client's authority to another", function()
      local trusting = { base_url = sandbox.https, ca_file = sandbox.ca_file }
      for _ = 1, 3 do
        assert.is_true((send(trusting)))
        local _, err = send { base_url = sandbox.https }
        check(err, "certificate_untrusted", "source")
      end
    end)
  end)

  it("has a code of its own for each cause", function()
    local seen = {}
    for _, failure in ipairs(sendapi.errors) do
      assert.is_nil(seen[failure.code])
      seen[failure.code] = true
      assert.truthy(failure.code:match "^[a-z_]+$")
      assert.is_true(#failure.message > 10)
    end
    for _, expected in pairs(EXPECTED) do
      assert.is_true(seen[expected[1]])
    end
  end)
end)
