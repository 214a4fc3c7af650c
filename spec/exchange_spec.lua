--- One blocking HTTP exchange, as Lua sees it.
local core = require "sendapi.core"
local openssl = require "spec.support.openssl"
local raising = require "spec.support.raising"
local sandbox = require "spec.support.sandbox"
local send_api = require "spec.support.send_api"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"


-- An answer with headers, and a body of 3,000,001 bytes.
local asking = [[
local url, signature = ...
local core = require "sendapi.core"
return function()
  local answer = assert(core.exchange {
    url = url,
    body = "{}",
    headers = { "X-SMCCSDK-SIGNATURE: " .. signature },
  })
  assert(#answer.body == 3000001)
end
]]

local compile = "cc -std=c11 -D_POSIX_C_SOURCE=200809L -O1 -g -Wall -Wextra -Wpedantic -Wshadow "
  .. "-Wstrict-prototypes -Wconversion -Werror %s $(pkg-config --cflags %s) -o %s "
  .. "spec/hosts/want.c $(pkg-config --libs %s)"

--- Asks often, and has a finalizer take away what it asks for, sometimes while it asks.
local robbery = [[
local core = require "sendapi.core"
local robbed, answered = 0, 0
local settings, is_inside

local function litter(finalize)
  if newproxy then
    getmetatable(newproxy(true)).__gc = finalize
  else
    setmetatable({}, { __gc = finalize })
  end
end

local function rob()
  if is_inside then
    robbed = robbed + 1
    settings.url, settings.ca_file, settings.body, settings.method = nil, nil, nil, nil
    settings.headers[1], settings.headers[2] = nil, nil
    collectgarbage()
  end
  litter(rob)
end

collectgarbage("setpause", 1)
collectgarbage("setstepmul", 1000)
litter(rob)
for number = 1, 2000 do
  local long = ("x"):rep(50) .. number
  settings = {
    url = "http://127.0.0.1:1/" .. long,
    ca_file = "/nowhere/" .. long,
    body = "body" .. long,
    method = "M" .. long,
    headers = { "X-Check: " .. long, "X-Other: " .. long },
  }
  for i = 1, number % 97 do
    settings.headers[2] = "X-Other: " .. long .. i -- as much garbage as it takes
  end
  is_inside = true
  local fine, answer = pcall(core.exchange, settings)
  is_inside = false
  answered = answered + (fine and answer and 1 or 0)
end
print(("robbed %d, answered %d"):format(robbed, answered))
]]

describe("an exchange", function()
  local running

  setup(function()
    running = sandbox.start()
  end)

  teardown(function()
    running:stop()
  end)

  local function ask(settings)
    settings.ca_file = settings.ca_file or running.ca_file
    settings.timeout = settings.timeout or 20
    return core.exchange(settings)
  end

  local function path(source_id, base)
    return (base or running.http) .. "/realtime/sdk/" .. source_id
  end

  local function post(url, more)
    local body = send_api.message(send_api.whole_message)
    local settings = { url = url, body = body, headers = { sandbox.signed_header(body) } }
    for name, value in pairs(more or {}) do
      settings[name] = value
    end
    return ask(settings)
  end

  it("sends a body with headers, and gives status, headers and body", function()
    local answer = assert(post(path "plain"))
    assert.are.equal(200, answer.status)
    assert.are.equal("ok", answer.body)
    assert.is_string(answer.headers["content-type"])
    assert.are.equal("2", answer.headers["content-length"])
  end)

  it("is the same over TLS", function()
    assert.are.equal("ok", assert(post(path("plain", running.https))).body)
  end)

  it("gives any status, and a header's value", function()
    local answer = assert(post(path "busy"))
    assert.are.equal(503, answer.status)
    assert.are.equal("7", answer.headers["retry-after"])
    assert.are.equal("Down", answer.body)
  end)

  it("follows no redirect", function()
    assert.are.equal(307, assert(post(path "moved")).status)
  end)

  it("is a GET without a body, or what the method says", function()
    local answer = assert(ask { url = running.http .. "/none" })
    assert.is_true(answer.status >= 400)
    answer = assert(post(path "plain", { method = "PUT" }))
    assert.is_true(answer.status >= 400)
  end)

  describe("fails with a sentence", function()
    local function assert_fails(part, answer, message)
      assert.is_nil(answer)
      assert.is_string(message)
      assert.is_truthy(message:lower():find(part, 1, true), message)
    end

    it("when the certificate is another's, or of an unknown authority", function()
      assert_fails("certificate", post(path("plain", running.https_other_name)))
      assert_fails("certificate", post(path("plain", running.https), { ca_file = "/dev/null" }))
    end)

    it("when the server closes, says half, says nonsense", function()
      assert_fails("empty", post(path "closing"))
      assert_fails("", post(path "halving"))
      assert_fails("", post(path "babbling"))
    end)

    it("when nothing comes in time", function()
      assert_fails("time", post(path "late", { timeout = 0.2 }))
    end)

    it("when the answer is larger than the limit", function()
      assert_fails("larger than 1000 bytes", post(path "flooding", { limit = 1000 }))
      assert.are.equal(3000001, #assert(post(path "flooding")).body)
    end)

    it("when nobody is there", function()
      assert_fails("connect", ask { url = "http://127.0.0.1:1/" })
    end)

    it("for urls, headers and methods that are none", function()
      assert_fails("only http", ask { url = "ftp://127.0.0.1/" })
      assert_fails("only http", ask { url = "file:///etc/passwd" })
      assert_fails("no name or password", ask { url = "http://a:b@127.0.0.1/" })
      assert_fails("nul", ask { url = "http://127.0.0.1/\0" })
      assert_fails("nul", ask { url = "http://127.0.0.1/", ca_file = "\0" })
      assert_fails("something like", ask { url = "" })
      assert_fails("one line", ask { url = "http://127.0.0.1:1/", headers = { "a: b\r\nc: d" } })
      assert_fails("nul", ask { url = "http://127.0.0.1:1/", headers = { "a: b\0c" } })
      assert_fails("word", ask { url = "http://127.0.0.1:1/", method = "GET /" })
    end)
  end)

  it("raises for settings of another type or name, at the caller's line", function()
    local function text(settings)
      return raising.text(function()
        return (core.exchange(settings))
      end)
    end
    local url = "http://127.0.0.1:1/"
    assert.are.equal("exchange: a url is needed", text {})
    assert.are.equal("exchange: url must be a string, not a number", text { url = 1 })
    assert.are.equal("exchange: body must be a string, not a table", text { url = url, body = {} })
    assert.are.equal("exchange: there is no 'tiemout'", text { url = url, tiemout = 1 })
    assert.are.equal("exchange: there is no '?'", text { url = url, [1] = 1 })
    for _, timeout in ipairs { 0, -1, 0 / 0, 1 / 0, "1" } do
      local message = text { url = url, timeout = timeout }
      assert.are.equal("exchange: timeout must be a number above 0", message)
    end
    assert.are.equal("exchange: limit must be a number above 0", text { url = url, limit = 2 ^ 40 })
    assert.are.equal("exchange: headers must be a list", text { url = url, headers = "a: b" })
    local many = {}
    for i = 1, 101 do
      many[i] = "a: b"
    end
    assert.are.equal("exchange: more than 100 headers", text { url = url, headers = many })
    local message = text { url = url, headers = { "a: b", 5 } }
    assert.are.equal("exchange: headers must be a list of strings", message)
    assert.has_error(function()
      core.exchange "http://127.0.0.1/"
    end)
  end)

  -- The collector runs finalizers wherever memory is asked for. Here it is a small program, whose
  -- memory is collected again and again.
  it("bears that its settings are taken away meanwhile", function()
    local program = os.tmpname()
    shell.write_file(program, robbery)
    local result = shell.run(shell.lua .. " " .. program)
    os.remove(program)
    assert.are.equal("", result.errors)
    assert.are.equal(0, result.status)
    local robbed, answered = result.output:match "^robbed (%d+), answered (%d+)\n$"
    assert.is_true(tonumber(robbed) > 10, result.output)
    assert.are.equal("0", answered)
  end)

  local function compile_want(directory)
    local core_path = package.searchpath and package.searchpath("sendapi.core", package.cpath) or ""
    local is_sanitized = core_path:find("/sanitized/", 1, true)
    local sanitizers = is_sanitized and "-fsanitize=address,undefined" or ""
    local want = directory:path_of "want"
    local result = shell.run(compile:format(sanitizers, shell.lua, shell.quote(want), shell.lua))
    assert.are.equal("", result.errors)
    return want
  end

  local function keeps_nothing()
    local directory = temporary.directory()
    local script = directory:write("script.lua", asking)
    local signature = openssl.sign(send_api.token, "{}")
    local words = { compile_want(directory), script, path "flooding", signature }
    local result = shell.run(table.concat(words, " "))
    directory:remove()
    assert.are.equal("", result.errors)
    local calls, bytes = result.output:match "^(%d+) calls, (%-?%d+) bytes\n$"
    assert.is_true(tonumber(calls) > 10, result.output)
    assert.is_true(tonumber(bytes) < 1000000, result.output) -- an answer has three times that
  end

  if shell.lua ~= "luajit" then -- it takes no allocator of ours
    it("keeps nothing when Lua is refused memory, wherever that is", keeps_nothing)
  end

  it("asks no metamethod for its settings", function()
    local settings = setmetatable({}, {
      __index = function()
        return "http://127.0.0.1/"
      end,
    })
    assert.is_false((pcall(core.exchange, settings)))
  end)
end)
