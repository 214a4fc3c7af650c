--- Workers of a real nginx that end with messages under way: by a reload, by a signal, under load.
local host = require "sendapi.sandbox.host"
local nginx = require "spec.support.nginx"
local send_api = require "spec.support.send_api"
local shell = require "spec.support.shell"

local TOKEN = send_api.token

-- Every worker notes in one file what was accepted and what came of it.
local http = [[
  init_by_lua_block {
    local sendapi = require "sendapi"
    local file = assert(io.open("{{notes}}", "a"))
    file:setvbuf "no"
    local function note(...)
      file:write(table.concat({ ... }, " ") .. "\n")
    end
    clients = {}
    for _, source in ipairs { "plain", "late", "stuck" } do
      clients[source] = sendapi.client(source, "{{token}}", {
        base_url = "{{url}}", connections = 256, close_timeout = {{close_timeout}},
      })
    end
    function message(id)
      return {
        id = id, thread_id = id, body = "x",
        author = { id = "1", created_at = 0, screenname = "Ann" },
      }
    end
    function queue(source, id)
      local ok = clients[source].messages:create(message(id), function(done, err)
        note("outcome", id, done and "ok" or err.code)
      end)
      note(ok and "accepted" or "refused", id)
    end
    function send(source, id)
      local ok, err = clients[source].messages:create(message(id))
      note("outcome", id, ok and "ok" or err.code)
      ngx.status = ok and 200 or 500
      ngx.print(ok and "ok" or err.code)
    end
    {{init}}
  }
]]

local server_block = [[
  location /queue {
    content_by_lua_block { queue(ngx.var.arg_source, ngx.var.arg_id) }
  }
  location /log {
    return 200;
    log_by_lua_block { queue(ngx.var.arg_source, ngx.var.arg_id) }
  }
  location /whose {
    content_by_lua_block {
      assert(clients.plain.messages:create(message(ngx.var.arg_id)))
      ngx.print(ngx.worker.pid())
    }
  }
  location /send {
    content_by_lua_block { send(ngx.var.arg_source, ngx.var.arg_id) }
  }
]]

describe("#house when nginx's workers end", function()
  if not nginx.core() then
    pending "needs a core for LuaJIT"
    return
  end

  local sandbox, notes
  local running

  setup(function()
    sandbox = assert(host.start {
      sources = {
        plain = { token = TOKEN },
        late = { token = TOKEN, fault = { kind = "delay", seconds = 0.3 } },
        stuck = { token = TOKEN, fault = { kind = "delay", seconds = 60 } },
      },
    })
  end)

  teardown(function()
    sandbox:stop()
  end)

  before_each(function()
    sandbox:clear()
    notes = os.tmpname()
  end)

  after_each(function()
    running:stop()
    os.remove(notes)
  end)

  local function start(options)
    options = options or {}
    options.main = options.main or "worker_processes 2;"
    options.url, options.token, options.notes = sandbox.http, TOKEN, notes
    options.close_timeout = options.close_timeout or 5
    options.init = options.init or ""
    options.http, options.server = http, server_block
    running = nginx.start(options)
    return running
  end

  --- What the workers noted: id -> true of the accepted, id -> its outcomes.
  local function read_notes()
    local accepted, outcomes = {}, {}
    for line in shell.read_file(notes):gmatch "[^\n]+" do
      local kind, id, code = line:match "^(%S+) (%S+) ?(%S*)$"
      if kind == "accepted" then
        accepted[id] = true
      elseif kind == "outcome" then
        outcomes[id] = outcomes[id] or {}
        table.insert(outcomes[id], code)
      end
    end
    return accepted, outcomes
  end

  local function received_ids()
    local ids = {}
    for _, entry in ipairs(sandbox:received()) do
      ids[entry.params.id] = true
    end
    return ids
  end

  local function count(set)
    local number = 0
    for _ in pairs(set) do
      number = number + 1
    end
    return number
  end

  --- Each accepted message has one outcome, and the sandbox has got what was delivered.
  local function check_nothing_is_lost()
    local accepted, outcomes = read_notes()
    local received = received_ids()
    for id in pairs(accepted) do
      assert.equal(1, #(outcomes[id] or {}), "outcomes of " .. id)
    end
    for id, codes in pairs(outcomes) do
      assert.is_true(codes[1] ~= "ok" or received[id] or false, id)
    end
    return accepted, outcomes
  end

  local function check_all_delivered()
    local accepted, outcomes = check_nothing_is_lost()
    for id, codes in pairs(outcomes) do
      assert.equal("ok", codes[1], id)
    end
    return accepted, outcomes
  end

  local function check_all_received()
    local accepted = read_notes()
    local received = received_ids()
    for id in pairs(accepted) do
      assert.is_true(received[id], id)
    end
    return accepted
  end

  local function await_notes(pattern)
    assert(shell.wait_until(function()
      return shell.read_file(notes):find(pattern)
    end, 10), "no note of " .. pattern)
  end

  local function await_end(pids, seconds)
    assert.is_true(running:await_end(pids, seconds), "a worker hangs")
  end

  --- One of the workers; nginx puts new ones in the place of those that ended.
  local function a_worker()
    return shell.wait_until(function()
      return running:workers()[1]
    end, 10)
  end

  --- Reloads again and again while requests come, and waits for all the workers of before.
  local function reload_under(finish, times)
    local ended = {}
    for _ = 1, times do
      for _, pid in ipairs(running:reload()) do
        ended[#ended + 1] = pid
      end
    end
    local statuses = finish()
    for _, pid in ipairs(running:reload()) do
      ended[#ended + 1] = pid
    end
    await_end(ended, 10)
    return statuses
  end

  -- What nginx says at the end of a worker that has made a timer, of whatever kind, after it was
  -- told to exit: a call with a function makes one there if it is the worker's first for long.
  local of_late_timers = { "open socket #%-2 left in connection %d+$", "alert%] %S+ aborting$" }

  local function is_of_late_timer(line)
    for _, pattern in ipairs(of_late_timers) do
      if line:find(pattern) then
        return true
      end
    end
    return false
  end

  local function check_quiet()
    for _, line in ipairs(running:complaints { "warn", "error", "crit", "alert", "emerg" }) do
      assert.is_true(is_of_late_timer(line), line)
    end
    assert.equal("", running:leftovers())
  end

  it("a reload, and five in a row, lose no callback", function()
    local server = start()
    local queued = server:begin("/queue?source=late&id=q[1-900]", 8)
    local logged = server:begin("/log?source=late&id=l[1-900]", 8)
    reload_under(queued, 5)
    logged()
    await_end(server:reload(), 10)
    local accepted = check_all_delivered()
    assert.is_true(count(accepted) >= 1200, count(accepted))
    check_quiet()
  end)

  it("a reload lets waiting calls end", function()
    local server = start()
    local finish = server:begin("/send?source=late&id=s[1-400]", 100)
    await_notes "outcome"
    local statuses = reload_under(finish, 3)
    local _, outcomes = check_all_delivered()
    assert.is_nil(statuses["500"])
    assert.is_true(count(outcomes) >= statuses["200"])
    assert.is_true(statuses["200"] >= 100, statuses["200"])
    check_quiet()
  end)

  it("a request that outlives a reload may still make its first call", function()
    local server = start { init = 'send = (function(make) return function(...) ngx.sleep(0.7) '
      .. 'make(...) end end)(send)' }
    local finish = server:begin("/send?source=plain&id=s[1-20]", 20)
    os.execute "sleep 0.3"
    await_end(server:reload(), 10)
    assert.same({ ["200"] = 20 }, finish())
    assert.equal(20, count((select(2, check_all_delivered()))))
    assert.same({}, server:complaints())
    assert.equal("", server:leftovers())
  end)

  it("a reload waits for a server that is silent no longer than close_timeout", function()
    local server = start { close_timeout = 0.5 }
    server:begin("/queue?source=stuck&id=q[1-40]", 4)()
    local finish = server:begin("/send?source=stuck&id=s[1-20]", 20)
    assert.truthy(shell.wait_until(function()
      return #sandbox:received() == 60
    end, 10))
    await_end(server:reload(), 15)
    assert.same({ ["500"] = 20 }, finish())
    local accepted, outcomes = check_nothing_is_lost()
    assert.equal(40, count(accepted))
    assert.equal(60, count(outcomes))
    for _, codes in pairs(outcomes) do
      assert.same({ "closed" }, codes)
    end
    assert.same({}, server:complaints())
    assert.is_true(#server:complaints { "warn" } >= 1)
    assert.equal("", server:leftovers())
  end)

  it("callbacks that send again keep no worker from its end", function()
    local server = start {
      close_timeout = 0.3,
      init = [[
        local function again()
          clients.stuck.messages:create(message "again", again)
        end
        queue = again
      ]],
    }
    server:get "/queue"
    assert.truthy(shell.wait_until(function()
      return #sandbox:received() > 0
    end, 10))
    await_end(server:reload(), 15)
    local complaints = server:complaints()
    assert.equal(1, #complaints)
    assert.truthy(complaints[1]:find "a callback failed: .*the worker exits")
    assert.equal("", server:leftovers())
  end)

  -- A worker that is terminated cannot call functions any more: its outcomes may be unknown.
  local checks = { QUIT = check_all_delivered, TERM = check_all_received }

  for signal, check in pairs(checks) do
    it("a worker that gets SIG" .. signal .. " delivers what it accepted", function()
      local server = start()
      local queued = server:begin("/queue?source=late&id=q[1-600]", 8)
      local logged = server:begin("/log?source=late&id=l[1-600]", 8)
      await_notes "accepted"
      for _ = 1, 2 do
        local worker = a_worker()
        server:signal(signal, worker)
        await_end({ worker }, 10)
      end
      queued()
      logged()
      await_end(server:reload(), 10)
      local accepted = check()
      assert.is_true(count(accepted) >= 600, count(accepted))
      check_quiet()
    end)
  end

  it("a worker that is killed leaves nothing behind", function()
    local server = start()
    local finish = server:begin("/queue?source=late&id=q[1-400]", 8)
    for round = 1, 10 do
      local _, pid = server:get("/whose?source=plain&id=" .. round)
      server:signal("KILL", assert(tonumber(pid), pid))
      await_end({ tonumber(pid) }, 15)
    end
    finish()
    assert.truthy(shell.wait_until(function()
      return server:leftovers() == "" -- other workers may be about to connect
    end, 20))
    local received = received_ids()
    for round = 1, 10 do
      assert.is_true(received[tostring(round)])
    end
    for _, line in ipairs(server:complaints()) do
      assert.truthy(line:find("exited on signal 9", 1, true), line)
    end
  end)

  it("the end of nginx itself is the end of all of it", function()
    local server = start()
    server:begin("/queue?source=late&id=q[1-100]", 8)()
    server:signal("QUIT", server.master)
    await_end({ server.master }, 10)
    assert.equal(100, count((check_all_delivered())))
    check_quiet()
  end)
end)
