-- What the options of `sendapi.client` may be, what stands in for them, and the url they make.
local options = require "sendapi.options"
local shell = require "spec.support.shell"
local url = require "sendapi.url"

--- Runs a function with nothing but these variables in the environment.
local function with_environment(variables, call)
  local getenv = os.getenv
  os.getenv = function(name)
    return variables[name]
  end
  local results = { pcall(call) }
  os.getenv = getenv
  assert(results[1], results[2])
  return results[2], results[3]
end

local function resolve(given, variables)
  return with_environment(variables or {}, function()
    return options.resolve(given)
  end)
end

local function assert_refused(expected, given)
  local resolved, message = resolve(given)
  assert.is_nil(resolved)
  assert.are.equal(expected, message)
end

describe("options", function()
  it("have defaults", function()
    for _, given in ipairs { {}, false } do
      assert.are.same({
        source_options = {},
        extra_fields = false,
        timeout = 30,
        connect_timeout = 5,
        connections = 16,
        max_pending = 10000,
        max_pending_bytes = 268435456,
        deadline = 60,
        retry = { attempts = 4, first = 0.5, longest = 8 },
        ordered = true,
        durability = "full",
        close_timeout = 5,
        http2 = false,
        insecure_http = false,
      }, (resolve(given or nil)))
    end
  end)

  it("are taken as they are given, into a table of their own", function()
    local given = {
      domain = "acme",
      base_url = "https://acme.example",
      source_options = { "messages.unthreaded" },
      extra_fields = true,
      timeout = 0.5,
      connect_timeout = 1,
      connections = 1,
      max_pending = 2,
      max_pending_bytes = 3,
      deadline = 4,
      retry = { attempts = 1, first = 2, longest = 3 },
      ordered = false,
      runtime = "tick",
      outbox = "outbox.db",
      durability = "process",
      on_dead = print,
      on_pause = print,
      close_timeout = 0,
      log = print,
      ca_file = "ca.pem",
      proxy = "http://proxy.example:3128",
      http2 = true,
      insecure_http = true,
    }
    local resolved = resolve(given)
    assert.are.same(given, resolved)
    assert.are_not.equal(given, resolved)
    for _, option in ipairs(options.list) do
      assert.is_not_nil(given[option.name], "this test does not know " .. option.name)
    end
  end)

  it("are each described", function()
    local seen = {}
    for _, option in ipairs(options.list) do
      assert.is_nil(seen[option.name], option.name)
      seen[option.name] = true
      assert.is_truthy(option.sentence:find "%w", option.name)
      if option.type == "number" or option.type == "integer" then
        assert.is_true(option.default >= option.least)
      end
    end
  end)

  for name, value in pairs { string = "acme", number = 1, boolean = true } do
    it("are no " .. name, function()
      assert_refused("options: expected a table, got a " .. name, value)
    end)
  end

  it("must be known", function()
    assert_refused("unknown option 'timeot', did you mean 'timeout'?", { timeot = 1 })
    assert_refused("unknown option 'Domain', did you mean 'domain'?", { Domain = "acme" })
    assert_refused(
      "unknown option 'source_option', did you mean 'source_options'?",
      { source_option = {} }
    )
    assert_refused("unknown option 'colour'", { colour = "red" })
    assert_refused("unknown option '1'", { "acme" })
    assert_refused("unknown option 'true'", { [true] = 1 })
  end)

  describe("of one type are refused as another:", function()
    local samples = {
      string = "x",
      number = 1,
      boolean = true,
      table = {},
      ["function"] = print,
      userdata = io.stdout,
    }
    local accepted = { list = "table", integer = "number" }
    local other = {
      list = function()
        return "expected a list of strings"
      end,
      retry = function(kind)
        return ("expected a table, a function or false, got a %s"):format(kind)
      end,
    }

    for _, option in ipairs(options.list) do
      it(option.name, function()
        local fitting = accepted[option.type] or option.type
        for kind, value in pairs(samples) do
          local is_policy = option.type == "retry" and (kind == "table" or kind == "function")
          if kind ~= fitting and not is_policy then
            local expected = other[option.type] and other[option.type](kind)
              or ("expected a %s, got a %s"):format(fitting, kind)
            assert_refused(
              ("option '%s': %s"):format(option.name, expected),
              { [option.name] = value }
            )
          end
        end
      end)
    end
  end)

  for _, name in ipairs { "domain", "base_url", "ca_file", "proxy" } do
    it("must not be empty: " .. name, function()
      assert_refused("option '" .. name .. "': must not be empty", { [name] = "" })
    end)
  end

  it("name a runtime, a policy and nothing else", function()
    assert_refused("option 'runtime': there is no 'ngnix', did you mean 'nginx'?", {
      runtime = "ngnix",
    })
    assert_refused("option 'retry': unknown 'atempts', did you mean 'attempts'?", {
      retry = { atempts = 2 },
    })
    assert_refused("option 'retry': 'attempts' must be a number of at least 1", {
      retry = { attempts = 0 },
    })
    assert_refused("option 'retry': 'first' must be a number of at least 0", {
      retry = { first = 0 / 0 },
    })
    assert.are.same({ attempts = 1, first = 0.5, longest = 8 }, resolve({ retry = false }).retry)
    local given = { attempts = 9 }
    assert.are.same({ attempts = 9, first = 0.5, longest = 8 }, resolve({ retry = given }).retry)
    assert.are.equal(print, resolve({ retry = print }).retry)
  end)

  for _, option in ipairs(options.list) do
    if option.least then
      it("have a range: " .. option.name, function()
        local name = option.name
        assert.is_truthy(resolve { [name] = option.least })
        for _, value in ipairs { -1, option.least - 0.0005, -math.huge, 0 / 0 } do
          assert_refused(
            ("option '%s': must be at least %s"):format(name, option.least),
            { [name] = value }
          )
        end
      end)

      it("are no number beyond all bounds: " .. option.name, function()
        for _, value in ipairs { 2 ^ 53, 1e300, math.huge } do
          local resolved, message = resolve { [option.name] = value }
          assert.is_nil(resolved)
          assert.is_nil(message:find("at least", 1, true), message)
        end
      end)
    end
    if option.type == "integer" then
      it("are whole numbers: " .. option.name, function()
        assert_refused(
          ("option '%s': expected a whole number"):format(option.name),
          { [option.name] = 1.5 }
        )
        assert.are.equal(7, resolve({ [option.name] = 7.0 })[option.name])
      end)
    end
  end

  it("are lists of strings: source_options", function()
    local expected = "option 'source_options': expected a list of strings"
    for _, value in ipairs {
      { 1 },
      { "messages.unthreaded", false },
      { ["messages.unthreaded"] = true },
      { option = "messages.unthreaded" },
      { "messages.text", [3] = "messages.unthreaded" },
      { [1.5] = "messages.unthreaded" },
    } do
      assert_refused(expected, { source_options = value })
    end
    assert.is_truthy(resolve { source_options = {} })
  end)
end)

describe("the environment", function()
  local whole = {
    SENDAPI_BASE_URL = "https://environment.example",
    SENDAPI_DOMAIN = "environment",
    SSL_CERT_FILE = "/environment.pem",
  }

  it("names the server when no option does", function()
    local resolved = resolve({}, whole)
    assert.are.equal("https://environment.example", resolved.base_url)
    assert.are.equal("environment", resolved.domain)
    assert.are.equal("environment", resolve({}, { SENDAPI_DOMAIN = "environment" }).domain)
  end)

  it("does not when an option does", function()
    local resolved = resolve({ domain = "acme" }, whole)
    assert.are.equal("acme", resolved.domain)
    assert.is_nil(resolved.base_url)
    resolved = resolve({ base_url = "https://acme.example" }, whole)
    assert.are.equal("https://acme.example", resolved.base_url)
    assert.is_nil(resolved.domain)
  end)

  it("names the authorities when no option does", function()
    assert.are.equal("/environment.pem", resolve({ domain = "acme" }, whole).ca_file)
    assert.are.equal("ca.pem", resolve({ ca_file = "ca.pem" }, whole).ca_file)
  end)

  it("counts as unset where it is empty", function()
    local resolved = resolve({}, { SENDAPI_BASE_URL = "", SENDAPI_DOMAIN = "", SSL_CERT_FILE = "" })
    assert.is_nil(resolved.base_url)
    assert.is_nil(resolved.domain)
    assert.is_nil(resolved.ca_file)
    resolved = resolve({}, { SENDAPI_BASE_URL = "", SENDAPI_DOMAIN = "environment" })
    assert.are.equal("environment", resolved.domain)
  end)

  -- The same in processes of their own, whose environment is a real one.
  local script = [[
    local options, url = require "sendapi.options", require "sendapi.url"
    local resolved = assert(options.resolve(GIVEN))
    print(url.of_source(resolved, "1"))
    print(resolved.ca_file)
  ]]
  local processes = {
    { "", "{}", "nil\tno server: [^\n]*SENDAPI_DOMAIN or SENDAPI_BASE_URL\nnil\n" },
    { "SENDAPI_DOMAIN=acme", "{}", "https://acme%.engagement%.dimelo%.com/realtime/sdk/1\nnil\n" },
    {
      "SENDAPI_DOMAIN=acme SENDAPI_BASE_URL=https://b.example/x SSL_CERT_FILE=/ca.pem",
      "{}",
      "https://b%.example/x/realtime/sdk/1\n/ca%.pem\n",
    },
    {
      "SENDAPI_BASE_URL=https://b.example SSL_CERT_FILE=",
      "{ domain = 'c.example' }",
      "https://c%.example/realtime/sdk/1\nnil\n",
    },
    {
      "SENDAPI_BASE_URL=http://b.example",
      "nil",
      "nil\toption 'base_url': http is for this machine only[^\n]*\nnil\n",
    },
  }
  for _, case in ipairs(processes) do
    it(("is read anew by every process #house: %s with %s"):format(case[1], case[2]), function()
      local lua = jit and "luajit" or "lua" .. _VERSION:match "%d.%d"
      local result = shell.run(
        ("env -u SENDAPI_DOMAIN -u SENDAPI_BASE_URL -u SSL_CERT_FILE %s %s -e %s"):format(
          case[1],
          lua,
          shell.quote((script:gsub("GIVEN", case[2])))
        )
      )
      assert.are.equal(0, result.status, result.errors)
      assert.is_truthy(result.output:find("^" .. case[3] .. "$"), result.output)
    end)
  end
end)

describe("the url of a source", function()
  local function shown(text)
    return "'" .. text:gsub("%c", "?") .. "'"
  end

  local function assert_url(expected, given, source_id)
    assert.are.equal(expected, (url.of_source(given, source_id or "8da592bc6fcf8bae41b2")))
  end

  local SOURCE = "/realtime/sdk/8da592bc6fcf8bae41b2"

  for domain, host in pairs {
    acme = "acme.engagement.dimelo.com",
    ["acme-2"] = "acme-2.engagement.dimelo.com",
    ["acme.digital.ringcentral.com"] = "acme.digital.ringcentral.com",
    ["127.0.0.1"] = "127.0.0.1",
    ["acme.example:8443"] = "acme.example:8443",
  } do
    it("comes of a domain: " .. domain, function()
      assert_url("https://" .. host .. SOURCE, { domain = domain })
    end)
  end

  for _, domain in ipairs {
    "https://acme",
    "https://acme.example",
    "acme.example/path",
    "acme.example?query",
    "acme.example#fragment",
    "user@acme.example",
    "user:password@acme.example",
    "acme example",
    "acme.example\n",
    "acme\0",
    "[::1]",
    ":",
    ":443",
    "acme:8443",
    "localhost:8443",
    "acme.example:port",
    ".",
    "...",
    "acme..example",
    ".acme.example",
  } do
    it("does not come of a domain like " .. shown(domain), function()
      local found, message = url.of_source({ domain = domain }, "1")
      assert.is_nil(found)
      assert.is_truthy(message:find "^option 'domain': ", message)
    end)
  end

  for base, expected in pairs {
    ["https://acme.example"] = "https://acme.example",
    ["https://acme.example/"] = "https://acme.example",
    ["https://acme.example///"] = "https://acme.example",
    ["https://acme.example:8443/a/b/"] = "https://acme.example:8443/a/b",
    ["HTTPS://acme.example"] = "HTTPS://acme.example",
    ["https://acme.example/a@b"] = "https://acme.example/a@b",
    ["https://[2001:db8::1]:8443"] = "https://[2001:db8::1]:8443",
    ["https://10.0.0.1"] = "https://10.0.0.1",
    ["http://127.0.0.1"] = "http://127.0.0.1",
    ["http://127.0.0.1:8080/"] = "http://127.0.0.1:8080",
    ["http://127.255.3.4:1"] = "http://127.255.3.4:1",
    ["http://localhost:8080/x"] = "http://localhost:8080/x",
    ["http://[::1]:8080"] = "http://[::1]:8080",
    ["https://[fe80::1%25eth0]:8443"] = "https://[fe80::1%25eth0]:8443",
  } do
    it("comes of a base: " .. base, function()
      assert_url(expected .. SOURCE, { base_url = base })
    end)
  end

  it("comes of the base when there is a domain, too", function()
    assert_url("https://b.example" .. SOURCE, { base_url = "https://b.example", domain = "acme" })
  end)

  it("needs one of both", function()
    local found, message = url.of_source({}, "1")
    assert.is_nil(found)
    assert.are.equal(
      "no server: give the option domain or base_url, or set SENDAPI_DOMAIN or SENDAPI_BASE_URL",
      message
    )
  end)

  for _, base in ipairs {
    "",
    "acme",
    "acme.example",
    "//acme.example",
    "https:acme.example",
    "https:/acme.example",
    "https://",
    "https:///path",
    "ftp://acme.example",
    "file:///etc/passwd",
    "://acme.example",
    " https://acme.example",
    "https://acme.example ",
    "https://acme example",
    "https://acme.example/a b",
    "https://acme.example\n",
    "https://acme.example/\r\nX-Header: 1",
    "https://acme.example\0",
    "https://acme.example/\0",
    "https://acme.example?query",
    "https://acme.example/?query",
    "https://acme.example#fragment",
    "https://acme.example/a#",
    "https://user@acme.example",
    "https://user:password@acme.example",
    "https://user:password@acme.example:8443/a",
    "https://@acme.example",
    "https://:443",
    "https://acme.example:port",
    "https://acme.example:80:80",
    "https://acme.example\\path",
    "https://[::1",
    "https://[::1]x",
    "https://[]",
    "https://[acme.example]",
    "http://:80",
    "http://[::1].example.com",
    "http://127.0.0.1@acme.example",
    "http://localhost@acme.example/",
    "http://localhost:80@acme.example/",
    "http://localhost\\@acme.example",
  } do
    it("does not come of a base like " .. shown(base), function()
      for _, insecure in ipairs { false, true } do
        local found, message = url.of_source({ base_url = base, insecure_http = insecure }, "1")
        assert.is_nil(found)
        assert.is_truthy(message:find "^option 'base_url': ", message)
        assert.is_nil(message:find("password", 1, true))
      end
    end)
  end

  for _, base in ipairs {
    "http://acme.example",
    "HTTP://acme.example",
    "http://10.0.0.1",
    "http://0.0.0.0",
    "http://1127.0.0.1",
    "http://127.0.0.1.example.com",
    "http://127.0.0.example.com",
    "http://localhost.example.com",
    "http://notlocalhost",
    "http://[::2]:8080",
    "http://[::ffff:10.0.0.1]",
    "http://[2001:db8::1]",
  } do
    it("is no unencrypted one of another machine: " .. base, function()
      local found, message = url.of_source({ base_url = base }, "1")
      assert.is_nil(found)
      assert.are.equal(
        "option 'base_url': http is for this machine only; use https, or insecure_http",
        message
      )
      assert_url(base .. SOURCE, { base_url = base, insecure_http = true })
    end)
  end

  for id, escaped in pairs {
    ["8da592bc6fcf8bae41b2"] = "8da592bc6fcf8bae41b2",
    ["a-b_c.d~e"] = "a-b_c.d~e",
    ["a b"] = "a%20b",
    ["a/b"] = "a%2Fb",
    ["../x"] = "..%2Fx",
    ["a?b#c&d=e"] = "a%3Fb%23c%26d%3De",
    ["100%"] = "100%25",
    ["a%2Fb"] = "a%252Fb",
    ["é"] = "%C3%A9",
    ["\0\r\n\127\255"] = "%00%0D%0A%7F%FF",
    ["..."] = "...",
  } do
    it("escapes the source's id: " .. escaped, function()
      assert_url("https://a.example/realtime/sdk/" .. escaped, { domain = "a.example" }, id)
    end)
  end

  -- Clients and servers take these for steps within a path.
  for _, id in ipairs { ".", ".." } do
    it("is none for a source named " .. id, function()
      local found, message = url.of_source({ domain = "a.example" }, id)
      assert.is_nil(found)
      assert.is_string(message)
    end)
  end
end)
