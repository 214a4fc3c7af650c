--- Workers of a real nginx that share an outbox in a SQLite file: whatever ends them, what was
-- confirmed arrives, in order within its conversation.
local host = require "sendapi.sandbox.host"
local nginx = require "spec.support.nginx"
local judges = require "spec.support.judge"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"
local traffic = require "spec.support.traffic"

local TOKEN = "56e79ea426735090665b1c107c757d6d3a692c061335e4728899af27f215edf3"
local PATIENCE = 30 -- seconds, at most
local CONVERSATIONS = 24
local CONNECTIONS = 8 -- as `spec.support.judge` has them

local http = [[
  init_by_lua_block {
    local sendapi = require "sendapi"
    local file = assert(io.open("{{notes}}", "a"))
    file:setvbuf "no"
    function note(...)
      file:write(table.concat({ ... }, " ") .. "\n")
    end
    client = sendapi.client("plain", "{{token}}", {
      base_url = "{{url}}", outbox = "{{outbox}}", connections = {{connections}},
      close_timeout = {{close_timeout}},
      on_dead = function(letter) note("dead", letter.code) end,
      on_pause = function(err) note(err and "paused" or "resumed", ngx.get_phase()) end,
    })
    function send(thread, number)
      local id = thread .. "-" .. number
      local ok, err = client.messages:create {
        id = id, thread_id = thread, body = "x",
        author = { id = "1", created_at = 0, screenname = "Ann" },
      }
      ngx.say(ok and "ok " or "no ", id, " ", ok and "" or tostring(err))
    end
    {{init}}
  }
  init_worker_by_lua_block { {{worker}} }
  keepalive_timeout 0;
]]

local server_block = [[
  location /send {
    content_by_lua_block { send(ngx.var.arg_thread, ngx.var.arg_number) }
  }
  location /dead {
    content_by_lua_block { ngx.print(#client:outbox():dead()) }
  }
  location /pending {
    content_by_lua_block { ngx.print(tostring(client:outbox():pending())) }
  }
]]

-- A conversation: a message is sent once the one before is confirmed, or its request has failed.
-- What came of them is kept in a file of its own.
local conversation = [[
(first=1
while [ ! -e %s/stop ]; do
  curl -s --max-time 60 --unix-socket %s \
    "http://localhost/send?thread=%d&number=[$first-$((first+19))]"
  first=$((first+20))
done) >%s/said-%d &
]]

describe("#house an outbox in nginx", function()
  if not nginx.core() then
    pending "needs a core for LuaJIT"
    return
  end

  local sandbox, directory, running

  setup(function()
    sandbox = assert(host.start { sources = { plain = { token = TOKEN } } })
  end)

  teardown(function()
    sandbox:stop()
  end)

  before_each(function()
    sandbox:clear()
    sandbox:fault(nil)
    directory = temporary.directory()
    directory:write("notes", "")
  end)

  after_each(function()
    running:stop()
    directory:remove()
  end)

  local function start(options)
    options = options or {}
    options.main = options.main or "worker_processes 2;"
    options.url, options.token = sandbox.http, TOKEN
    options.outbox, options.notes = directory:path_of "outbox.db", directory:path_of "notes"
    options.connections = CONNECTIONS
    options.close_timeout = options.close_timeout or 5
    options.init = options.init or ""
    options.worker = options.worker or "client:outbox()"
    options.http, options.server = http, server_block
    running = nginx.start(options)
    return running
  end

  local function await(what, condition)
    return assert(shell.wait_until(condition, PATIENCE), what)
  end

  local function await_end(pids, seconds)
    assert.is_true(running:await_end(pids, seconds or PATIENCE), "a worker hangs")
  end

  local function await_note(pattern)
    await("no note of " .. pattern, function()
      return shell.read_file(directory:path_of "notes"):find(pattern)
    end)
  end

  local function arrivals()
    local ids = {}
    for _, entry in ipairs(sandbox:received()) do
      ids[#ids + 1] = traffic.id_of(entry)
    end
    return ids
  end

  local function await_arrivals(count)
    await("not all arrive", function()
      return #arrivals() >= count
    end)
  end

  local function send(first, last)
    for number = first, last do
      local _, answer = running:get("/send?thread=1&number=" .. number)
      assert.equal(("ok 1-%d \n"):format(number), answer)
    end
  end

  -- What nginx says of a worker that was killed.
  local function check_quiet()
    for _, line in ipairs(running:complaints()) do
      assert.truthy(line:find("exited on signal 9", 1, true), line)
    end
  end

  describe("under load", function()
    local pipe

    local function begin_load()
      local commands = {}
      for thread = 1, CONVERSATIONS do
        commands[thread] =
          conversation:format(directory.path, running.socket, thread, directory.path, thread)
      end
      pipe = assert(io.popen(table.concat(commands) .. "wait"))
    end

    local function end_load()
      if pipe then
        directory:write("stop", "")
        pipe:close()
        pipe = nil
      end
    end

    after_each(end_load)

    local function said()
      return shell.run(("cat %s/said-*"):format(directory.path)).output
    end

    --- What is confirmed until now: ids, and their number.
    local function confirmed()
      local ids, count = {}, 0
      for id in said():gmatch "ok (%S+)" do
        ids[id], count = true, count + 1
      end
      return ids, count
    end

    --- Lets some more messages be confirmed.
    local function go_on(messages)
      local _, before = confirmed()
      await("nothing is confirmed any more", function()
        local _, now = confirmed()
        return now >= before + messages
      end)
    end

    --- The first arrivals must be in order; how many came again.
    local function check_order(ids)
      local seen, last, again = {}, {}, 0
      for _, id in ipairs(ids) do
        local thread, number = id:match "^(%d+)%-(%d+)$"
        number = tonumber(number)
        if seen[id] then
          again = again + 1
        else
          assert.is_true((last[thread] or 0) < number, id .. " is out of order")
          last[thread] = number
        end
        seen[id] = true
      end
      return again, seen
    end

    --- Ends the load; all that was confirmed must arrive.
    local function check_all(most_again)
      end_load()
      await("something remains", function()
        local _, answer = running:get "/pending"
        return answer == "0"
      end)
      local again, seen = check_order(arrivals())
      local ids, count = confirmed()
      for id in pairs(ids) do
        assert.is_true(seen[id], id .. " was lost")
      end
      assert.is_nil(said():match "no [^\n]*")
      assert.is_true(again <= most_again, again .. " came again")
      return count, again
    end

    it("reloads lose nothing, repeat nothing and change no order", function()
      local server = start { main = "worker_processes 3;", close_timeout = 20 }
      begin_load()
      local old = {}
      for _ = 1, 5 do
        go_on(100)
        for _, pid in ipairs(server:reload()) do
          old[#old + 1] = pid
        end
      end
      go_on(100)
      check_all(0)
      await_end(old)
      check_quiet()
      assert.equal("", shell.read_file(directory:path_of "notes"))
    end)

    it("workers that are killed lose nothing, and change no order", function()
      local server = start { main = "worker_processes 3;" }
      begin_load()
      local kills = 0
      for round = 1, 10 do
        go_on(60)
        local workers = server:workers()
        local first = round % 4 == 0 and 1 or round % #workers + 1
        for i = first, round % 4 == 0 and #workers or first do
          server:signal("KILL", workers[i])
          kills = kills + 1
        end
        await_end(workers[first] and { workers[first] } or {})
      end
      go_on(100)
      check_all(kills * judges.in_flight)
      check_quiet()
    end)
  end)

  for _, signal in ipairs { "TERM", "QUIT" } do
    it("what is pending when nginx gets SIG" .. signal .. " is delivered by the next", function()
      local server = start()
      sandbox:kill()
      send(1, 20)
      server:signal(signal, server.master)
      await_end { server.master }
      check_quiet()
      server:stop()
      assert(sandbox:revive())
      start() -- and no request is made
      await_arrivals(20)
      for i, id in ipairs(arrivals()) do
        assert.equal("1-" .. i, id)
      end
      check_quiet()
    end)
  end

  it("a worker that ends leaves what is pending to one that can tell what becomes of it", function()
    local server = start()
    sandbox:fault { kind = "delay", seconds = 0.2 }
    send(1, 40)
    local old = server:reload()
    await("the old workers stay", function()
      local notices = table.concat(server:complaints { "notice" }, "\n")
      return select(2, notices:gsub(": exiting", "")) == #old
    end)
    sandbox:fault { kind = "status", status = 422, text = "No" }
    await_end(old)
    await("something remains", function()
      local _, answer = server:get "/pending"
      return answer == "0"
    end)
    local _, dead = server:get "/dead"
    local function told()
      return select(2, shell.read_file(directory:path_of "notes"):gsub("dead refused\n", ""))
    end
    await("not all are told", function()
      return told() >= dead - 1 -- but for one that was on its way
    end)
    assert.is_true(tonumber(dead) > 20, dead)
    check_quiet()
  end)

  it("a worker's first call begins the delivery, too", function()
    start { worker = "" }
    sandbox:kill()
    send(1, 3)
    running:stop()
    assert(sandbox:revive())
    start { worker = "" }
    assert.equal(200, (running:get "/pending"))
    await_arrivals(3)
    assert.same({ "1-1", "1-2", "1-3" }, arrivals())
  end)

  it("a worker that nobody asks anything hears of dead letters, and of pauses", function()
    local server = start {
      main = "worker_processes 1;",
      init = [[
        local limits = require("sendapi.runtime.nginx").limits
        limits.idle, limits.look, limits.listen = 0.01, 0.01, 0.1
      ]],
    }
    sandbox:fault { kind = "status", status = 503 }
    send(1, 1)
    await_arrivals(1)
    sandbox:fault { kind = "status", status = 422, text = "No" }
    await_note "dead refused\n"
    sandbox:fault { kind = "status", status = 503 }
    sandbox:clear()
    send(2, 2)
    await_arrivals(1)
    sandbox:fault { kind = "status", status = 401 }
    await_note "paused timer\n"
    sandbox:fault(nil)
    await_note "resumed timer\n"
    await_end(server:reload())
    for _, line in ipairs(server:complaints()) do
      assert.truthy(line:find("source plain is paused", 1, true), line)
    end
    assert.equal("", server:leftovers())
  end)

  it("a reload waits for a silent server no longer than close_timeout", function()
    local server = start { close_timeout = 0.5 }
    sandbox:fault { kind = "delay", seconds = 60 }
    send(1, 3)
    await_arrivals(1)
    sandbox:clear()
    sandbox:fault(nil) -- but not for the one that it has
    await_end(server:reload(), PATIENCE / 2)
    await("not all are delivered", function()
      local _, answer = server:get "/pending"
      return answer == "0"
    end)
    local first = {}
    for _, id in ipairs(arrivals()) do
      first[#first + 1] = id ~= first[#first] and id or nil
    end
    assert.same({ "1-1", "1-2", "1-3" }, first)
    check_quiet()
  end)
end)
