--- The `sendapi` command: what it takes, and its sub-commands but `sandbox`.
local cjson = require "cjson"
local command = require "spec.support.command"
local connector_server = require "spec.support.connector_server"
local connectors = require "spec.support.connectors"
local openssl = require "spec.support.openssl"
local sendapi = require "sendapi"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local assert_complaint, quote, run = command.assert_complaint, shell.quote, command.run

local AUTHOR = '"author":{"id":"7","screenname":"Alice","created_at":"2026-01-01T00:00:00Z"}'
local MESSAGE = '{"id":"1","thread_id":"42",' .. AUTHOR .. ',"body":"Hello"}'

describe("the sendapi command", function()
  local directory

  setup(function()
    directory = temporary.directory()
  end)

  teardown(function()
    directory:remove()
  end)

  it("says its version", function()
    local result = run "--version"
    assert.are.same({ 0, "sendapi " .. sendapi._VERSION .. "\n" }, { result.status, result.output })
  end)

  it("says what there is", function()
    local result = run "--help"
    assert.are.equal(0, result.status)
    for _, name in ipairs { "sandbox", "check", "send", "outbox", "sign", "verify" } do
      assert.matches("\n +" .. name .. " ", result.output)
      local help = run(name .. " --help")
      assert.are.equal(0, help.status)
      assert.matches("^Usage: sendapi " .. name, help.output)
    end
  end)

  it("refuses wrong usage", function()
    assert_complaint(2, "a command is required", run "")
    assert_complaint(2, "unknown command 'sandbx'\nDid you mean 'sandbox'?", run "sandbx")
    assert_complaint(2, "unknown option '--prot'\nDid you mean '--port'?", run "sandbox --prot 1")
    assert_complaint(2, "expected a number, got 'x'", run "sandbox --port x")
    assert_complaint(2, "missing argument 'url'", run "check")
    assert_complaint(2, "option '--create' can not be used", run "check --read-only --create {} x")
    assert_complaint(2, "too many arguments", run "sign body")
  end)

  it("says in a line that a library is not there", function()
    local result = run("--version", "LUA_PATH='lua/?.lua;lua/?/init.lua'")
    assert.are.equal(1, result.status)
    assert.matches("^sendapi: [^\n]*module 'argparse' not found\n$", result.errors)
  end)

  describe("check", function()
    local running, base

    setup(function()
      running, base = connector_server.start()
    end)

    teardown(function()
      running:stop()
    end)

    local function check(arguments, token)
      return run("check " .. arguments, "SENDAPI_TOKEN=" .. quote(token or connectors.token))
    end

    it("passes a connector that is right", function()
      local result = check(base .. "well")
      assert.are.same({ 0, "" }, { result.status, result.errors })
      assert.matches("\n%d+ passed, 0 failed, %d+ not applicable\n$", result.output)
      assert.is_nil(result.output:find(connectors.token, 1, true))
    end)

    it("fails one that is wrong, as JSON when asked for", function()
      local result = check("--json --read-only http://127.0.0.1:1/")
      local report = cjson.decode(result.output)
      assert.are.same({ 1, "" }, { result.status, result.errors })
      assert.are.same({ false, 1 }, { report.ok, report.failed })
      assert.are.equal("failed", report.cases[1].verdict)
    end)

    it("colours nothing", function()
      assert.is_nil(check("http://127.0.0.1:1/").output:find("\27", 1, true))
    end)

    it("takes the token from a file", function()
      local path = directory:write("token", connectors.token .. "\n")
      local result = check("--read-only --token-file " .. quote(path) .. " " .. base .. "well", "x")
      assert.are.equal(0, result.status)
    end)

    it("hands its settings on", function()
      local limited = check(base .. "picky --create " .. quote '{"thread_id":"t9"}')
      assert.are.equal(0, limited.status)
      assert.are.equal(1, check("--timeout 0.2 --read-only " .. base .. "slow").status)
    end)

    it("refuses what it cannot use", function()
      local nowhere = directory:path_of "nowhere"
      local empty = directory:write("empty", "\n")
      local from, to = "--token-file ", " " .. base
      assert_complaint(2, "the token is missing: set SENDAPI_TOKEN", run("check " .. base))
      assert_complaint(2, "the token is missing: set SENDAPI_TOKEN", check(base, ""))
      local unread, unfilled = check(from .. nowhere .. to), check(from .. empty .. to)
      assert_complaint(2, nowhere .. ": No such file", unread)
      assert_complaint(2, empty .. ": there is no token", unfilled)
      assert_complaint(2, "url: expected something like https://", check "example.com")
      assert_complaint(2, "timeout: expected seconds, above 0", check("--timeout 0 " .. base))
      assert_complaint(2, "--create: expected a JSON object: it is", check("--create x " .. base))
      assert_complaint(2, "--create: expected a JSON object\n", check("--create [1] " .. base))
    end)
  end)

  describe("send", function()
    local sandbox

    setup(function()
      sandbox = sendapi.sandbox()
      assert(sandbox:start())
    end)

    before_each(function()
      assert(sandbox:clear())
    end)

    teardown(function()
      sandbox:stop()
    end)

    local function send(arguments, input, token)
      local variables = "SENDAPI_BASE_URL=%s SENDAPI_SOURCE=%s SENDAPI_TOKEN=%s"
      local base, id = quote(sandbox.base_url), quote(sandbox.source_id)
      local environment = variables:format(base, id, quote(token or sandbox.token))
      return run("send " .. arguments, environment, input)
    end

    it("delivers params from its argument or its input", function()
      for _, result in ipairs {
        send("messages.create " .. quote(MESSAGE)),
        send("messages.create", MESSAGE),
        send("messages.create -", MESSAGE .. "\n"),
      } do
        assert.are.same({ 0, "ok\n", "" }, { result.status, result.output, result.errors })
      end
      local entries = assert(sandbox:wait_for { thread = "42", count = 3 })
      assert.are.equal("Hello", entries[3].params.body)
    end)

    it("takes the source's options", function()
      local without = quote('{"id":"1",' .. AUTHOR .. ',"body":"Hello"}')
      local said = "invalid_params: params.thread_id: is missing"
      assert_complaint(1, said, send("messages.create " .. without))
      -- this side lets it pass then; the sandbox's source has not got the option
      local relaxed = send("messages.create --option messages.unthreaded " .. without)
      assert_complaint(1, "invalid_resource_format: ", relaxed)
    end)

    it("says why it was not delivered", function()
      local result = send("messages.create " .. quote(MESSAGE), nil, "wrong")
      assert_complaint(1, "invalid_signature: ", result)
    end)

    it("refuses what it cannot use", function()
      local params = quote(MESSAGE)
      local unknown = "there is no action 'message.create', did you mean 'messages.create'?\n"
      local sourceless = run("send messages.create " .. params, "SENDAPI_TOKEN=x")
      local tokenless = run("send messages.create " .. params, "SENDAPI_SOURCE=x")
      local homeless = run("send messages.create " .. params, "SENDAPI_SOURCE=x SENDAPI_TOKEN=x")
      assert_complaint(2, unknown, send("message.create " .. params))
      assert_complaint(2, "params: expected a JSON object: it is not", send "messages.create x")
      assert_complaint(2, "params: expected a JSON object: it is not", send("messages.create", ""))
      assert_complaint(2, "params: expected a JSON object\n", send "messages.create [1]")
      assert_complaint(2, "params: expected a JSON object\n", send "messages.create null")
      assert_complaint(2, "the source's id is missing: set SENDAPI_SOURCE", sourceless)
      assert_complaint(2, "the token is missing: set SENDAPI_TOKEN", tokenless)
      assert_complaint(2, "", homeless)
      assert.are.same({}, sandbox:received())
    end)
  end)

  describe("sign and verify", function()
    local BODY = '{"a":1}\n\0\255'
    local WITH_TOKEN = "SENDAPI_TOKEN='a token'"

    it("agree with openssl, to the byte", function()
      local right = openssl.sign("a token", BODY)
      local signed = run("sign", WITH_TOKEN, BODY)
      assert.are.same({ 0, right .. "\n" }, { signed.status, signed.output })
      for _, hex in ipairs { right, right:upper() } do
        local verified = run("verify " .. hex, WITH_TOKEN, BODY)
        assert.are.same({ 0, "right\n" }, { verified.status, verified.output })
      end
    end)

    it("tell a wrong one", function()
      local right = openssl.sign("a token", BODY)
      for hex, body in pairs { [right] = BODY .. "\n", [right:sub(2)] = BODY, ["''"] = BODY } do
        local verified = run("verify " .. hex, WITH_TOKEN, body)
        assert.are.same({ 1, "wrong\n" }, { verified.status, verified.output })
      end
    end)

    it("sign nothing, too", function()
      assert.are.equal(openssl.sign("a token", "") .. "\n", run("sign", WITH_TOKEN, "").output)
    end)

    it("need the token", function()
      assert_complaint(2, "the token is missing: set SENDAPI_TOKEN", run "sign")
      assert_complaint(2, "the token is missing: set SENDAPI_TOKEN", run "verify 00")
    end)
  end)
end)
