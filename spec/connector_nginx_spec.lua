--- A connector in a real nginx, behind the location that the README shows.
local cjson = require "cjson"
local curl = require "spec.support.curl"
local nginx = require "spec.support.nginx"
local openssl = require "spec.support.openssl"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"
local shell = require "spec.support.shell"

local TOKEN = send_api.token
local LOCATION = shell.read_file "examples/connector/location.conf"

local main = [[
  worker_processes 2;
  worker_rlimit_nofile 8192;
]]

-- `seen` counts how often a handler ran. What is created has the size of its body in its id.
local http = [[
  lua_shared_dict connector 1m;
  lua_shared_dict seen 1m;
  init_by_lua_block {
    local sendapi = require "sendapi"
    package.loaded.realtime_only = sendapi.connector("{{token}}", {
      messages = {
        list = function() return {} end,
        create = function(params)
          local name = params.content_id or "unnamed"
          ngx.shared.seen:incr(name, 1, 0)
          if params.title == "throw" then
            error "on purpose"
          end
          ngx.sleep(tonumber(params.title) or 0)
          return { id = name .. "-" .. #params.body }
        end,
      },
      store = ngx.shared.connector,
    })
  }
]]

local server = LOCATION
  .. [[
  location = /seen {
    content_by_lua_block { ngx.print(ngx.shared.seen:get(ngx.var.arg_name) or 0) }
  }
  location = /early {
    access_by_lua_block {
      local done, message = pcall(function() require("realtime_only"):serve() end)
      ngx.print(message)
      ngx.exit(200)
    }
    content_by_lua_block { ngx.exit(500) }
  }
]]

local INFO = '{"action":"implementation.info","time":"2012-10-01T17:18:40Z"}'

local function creation(content_id, body, title, retry)
  return cjson.encode {
    action = "messages.create",
    params = { content_id = content_id, body = body, title = title, retry = retry or false },
  }
end

describe("#house a connector in nginx", function()
  if not nginx.core() then
    pending "needs a core for LuaJIT"
    return
  end

  local running

  before_each(function()
    running = nginx.start { main = main, http = http, server = server, token = TOKEN }
  end)

  after_each(function()
    running:stop()
  end)

  local function post(body, options)
    options = options or {}
    local header = options.header or sendapi.sign(TOKEN, body)
    local headers = { "Expect:" }
    if header ~= "" then
      headers[2] = "X-SMCCSDK-SIGNATURE: " .. header
    end
    headers[#headers + 1] = options.also
    local url = "http://localhost/connector" .. (options.query or "")
    local extra = "--unix-socket " .. running.socket
    return curl.post(url, body, { headers = headers, extra = extra })
  end

  local function error_log()
    return shell.read_file(running.directory .. "/error.log")
  end

  local function times_seen(name)
    local _, body = running:get("/seen?name=" .. name)
    return tonumber(body)
  end

  it("answers, signed", function()
    local answer = post(INFO)
    assert.equal(200, answer.status)
    assert.same({ "create", "list" }, cjson.decode(answer.body).objects.messages)
    assert.truthy(answer.headers:find "[Cc]ontent%-[Tt]ype: application/json; charset=utf%-8\r\n")
    assert.truthy(answer.headers:find("Content-Length: " .. #answer.body .. "\r\n", 1, true))
    local signature = answer.headers:match "X%-SMCCSDK%-SIGNATURE: (%x+)\r\n"
    assert.equal(openssl.sign(TOKEN, answer.body), signature)
    assert.same({}, running:complaints { "warn", "error", "crit", "alert", "emerg" })
  end)

  it("takes the signature of the query when there is no header", function()
    local signature = openssl.sign(TOKEN, INFO)
    assert.equal(200, post(INFO, { header = "", query = "?signature=" .. signature }).status)
    assert.equal(200, post(INFO, { query = "?signature=00" }).status)
    assert.equal(403, post(INFO, { header = "00", query = "?signature=" .. signature }).status)
    assert.equal(403, post(INFO, { header = "" }).status)
    assert.equal(403, post(INFO, { header = "", query = "?signature=" }).status)
  end)

  it("reads bodies of every size, in memory, in a file, in chunks", function()
    local chunked = "Transfer-Encoding: chunked"
    for _, case in ipairs { { 10 }, { 7e4 }, { 5e6 }, { 10, chunked }, { 5e6, chunked } } do
      local size, also = ("%d"):format(case[1]), case[2]
      local content_id = size .. (also and "c" or "")
      local answer = post(creation(content_id, ("x"):rep(size)), { also = also })
      assert.equal(200, answer.status)
      assert.equal(("%s-%d"):format(content_id, size), cjson.decode(answer.body).id)
    end
    assert.same({}, running:complaints())
    assert.is_true(running:forgets_bodies())
  end)

  it("refuses what is too large", function()
    local large = creation("large", ("x"):rep(21000000))
    for _, also in ipairs { false, "Transfer-Encoding: chunked" } do
      local answer = post(large, { also = also or nil, header = "00" })
      assert.equal(413, answer.status)
      assert.equal("Request too large", answer.body)
    end
    assert.equal(413, post(("x"):rep(23000000), { header = "00" }).status)
    assert.equal(200, post(INFO).status)
    assert.equal(0, times_seen "large")
  end)

  it("keeps no body whose size is too large", function()
    local kept = "buffered to a temporary file"
    assert.equal(413, post(("x"):rep(21000000), { header = "00" }).status)
    assert.is_nil(error_log():find(kept, 1, true))
    assert.truthy(error_log():find("413 Request too large: it has 21000000 bytes", 1, true))
    assert.equal(403, post(("x"):rep(5000000), { header = "00" }).status)
    assert.truthy(error_log():find(kept, 1, true))
  end)

  it("takes POST alone", function()
    for _, method in ipairs { "GET", "PUT", "DELETE", "OPTIONS" } do
      local status, body = running:get("/connector", "-i -X " .. method)
      assert.equal(405, status)
      assert.truthy(body:find("Allow: POST\r\n", 1, true))
      assert.truthy(body:find "Method not allowed$")
    end
    assert.equal(400, post("").status)
  end)

  it("tells the log what was wrong, and neither the token nor the body", function()
    assert.equal(403, post(creation("secret-id", "secret-body"), { header = "00" }).status)
    local answer = post(creation("thrown", "secret-body", "throw"))
    assert.equal(200, answer.status)
    assert.is_false(cjson.decode(answer.body).error.fatal)
    assert.is_nil(answer.body:find("on purpose", 1, true))
    local log = error_log()
    assert.truthy(log:find("signature", 1, true), log)
    assert.truthy(log:find("on purpose", 1, true), log)
    assert.truthy(log:find("traceback", 1, true), log)
    assert.is_nil(log:find("secret", 1, true))
    assert.is_nil(log:find(TOKEN, 1, true))
  end)

  it("raises where nothing can be answered", function()
    local _, body = running:get "/early"
    assert.truthy(body:find("content_by_lua", 1, true), body)
  end)

  it("answers a repeated create from what any worker answered", function()
    for turn = 1, 10 do
      local answer = post(creation("once", "body", nil, turn > 1))
      assert.equal("once-4", cjson.decode(answer.body).id)
    end
    assert.equal(1, times_seen "once")
  end)

  it("answers a create that is repeated while the first still runs with an error", function()
    local slow, path = creation("slow", "body", "1"), running.directory .. "/slow"
    shell.write_file(path, slow)
    local header = "-H 'X-SMCCSDK-SIGNATURE: " .. sendapi.sign(TOKEN, slow) .. "'"
    local finish = running:begin("/connector?[1-1]", 1, header .. " --data-binary @" .. path)
    assert.truthy(shell.wait_until(function()
      return times_seen "slow" == 1
    end, 10))
    local answer = cjson.decode(post(slow).body)
    assert.is_false(answer.error.fatal)
    assert.same({ ["200"] = 1 }, finish())
    assert.equal("slow-4", cjson.decode(post(slow).body).id)
    assert.equal(1, times_seen "slow")
  end)

  it("serves 1,000 requests at once, whose handler waits", function()
    local body, path = creation(nil, "body", "0.5"), running.directory .. "/many"
    shell.write_file(path, body)
    local header = "-H 'X-SMCCSDK-SIGNATURE: " .. sendapi.sign(TOKEN, body) .. "'"
    local extra = header .. " --data-binary @" .. path
    local finishes = {}
    for i = 1, 4 do
      finishes[i] = running:begin("/connector?[1-250]", 250, extra)
    end
    for _, finish in ipairs(finishes) do
      assert.same({ ["200"] = 250 }, finish())
    end
    assert.equal(1000, times_seen "unnamed")
    assert.same({}, running:complaints())
  end)
end)
