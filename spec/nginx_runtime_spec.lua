--- The library in a real nginx: what waits, what must not, what overlaps.
local clients = require "spec.support.clients"
local nginx = require "spec.support.nginx"
local send_api = require "spec.support.send_api"
local shell = require "spec.support.shell"
local traffic = require "spec.support.traffic"

local TOKEN = send_api.token

-- What every configuration here begins with. `seen` is what requests leave for later ones.
local prelude = [[
  init_by_lua_block {
    local sendapi = require "sendapi"
    seen = { outcomes = {}, inside = 0, most = 0 }
    clients = {}
    for _, source in ipairs { "plain", "late", "slow", "busy" } do
      clients[source] = sendapi.client(source, "{{token}}", {
        base_url = "{{url}}", connections = 256, retry = false,
      })
    end
    function message(id)
      return {
        id = id, thread_id = id, body = "x",
        author = { id = "1", created_at = 0, screenname = "Ann" },
      }
    end
    function send(id, source, callback)
      return clients[source or "plain"].messages:create(message(id), callback)
    end
    function note(name)
      return function(ok, err)
        seen[name] = ok and "true" or err.code
      end
    end
    {{init}}
  }
]]

local usual_server = [[
  location /seen {
    content_by_lua_block { ngx.print(tostring(seen[ngx.var.arg_name])) }
  }
  location /send {
    content_by_lua_block {
      seen.inside = seen.inside + 1
      seen.most = math.max(seen.most, seen.inside)
      local ok, err = send(ngx.var.arg_id, ngx.var.arg_source)
      seen.inside = seen.inside - 1
      ngx.status = ok and 200 or 500
      ngx.print(tostring(ok), " ", tostring(err))
    }
  }
  location /busy {
    content_by_lua_block { ngx.print(tostring(require("sendapi.engine").is_busy())) }
  }
]]

describe("#house in nginx", function()
  if not nginx.core() then
    pending "needs a core for LuaJIT"
    return
  end

  local own = clients.of(traffic.sources {
    plain = {},
    late = { fault = { kind = "delay", seconds = 0.3 } },
    slow = { fault = { kind = "delay", seconds = 1 } },
    busy = { fault = { kind = "status", status = 503, text = "Down" } },
  })
  local sandbox
  local running = {}

  setup(function()
    sandbox = own.start()
  end)
  teardown(own.stop)
  before_each(own.clear)

  after_each(function()
    for _, server in ipairs(running) do
      server:stop()
    end
    running = {}
  end)

  local function start(options)
    options = options or {}
    options.url, options.token = sandbox.http, TOKEN
    options.init = options.init or ""
    options.http = prelude .. (options.http or "")
    options.server = usual_server .. (options.server or "")
    running[#running + 1] = nginx.start(options)
    return running[#running]
  end

  --- Waits until a request has left something under a name, and returns it.
  local function seen(server, name)
    return shell.wait_until(function()
      local _, value = server:get("/seen?name=" .. name)
      return value ~= "nil" and value
    end, 10)
  end

  local function received_ids()
    local count, ids = 0, {}
    for _, entry in ipairs(sandbox:received()) do
      count = count + (ids[entry.params.id] and 0 or 1)
      ids[entry.params.id] = (ids[entry.params.id] or 0) + 1
    end
    return count, ids
  end

  local function check_quiet(server)
    assert.same({}, server:complaints { "warn", "error", "crit", "alert", "emerg" })
    assert.equal("", server:leftovers())
  end

  describe("a call that waits", function()
    it("works in rewrite, access and content", function()
      local server = start {
        server = [[
          location /rewrite {
            rewrite_by_lua_block { ngx.ctx.ok = send("rewrite") }
            content_by_lua_block { ngx.print(tostring(ngx.ctx.ok)) }
          }
          location /access {
            access_by_lua_block { ngx.ctx.ok = send("access") }
            content_by_lua_block { ngx.print(tostring(ngx.ctx.ok)) }
          }
        ]],
      }
      local _, answer = server:get "/rewrite"
      assert.equal("true", answer)
      _, answer = server:get "/access"
      assert.equal("true", answer)
      _, answer = server:get "/send?id=content"
      assert.equal("true nil", answer)
      local count, ids = received_ids()
      assert.equal(3, count)
      assert.same({ rewrite = 1, access = 1, content = 1 }, ids)
      check_quiet(server)
    end)

    it("works in timers, in light threads and in coroutines", function()
      local server = start {
        http = [[
          init_worker_by_lua_block {
            ngx.timer.at(0, function()
              note "timer" (send "timer")
              ngx.thread.wait(ngx.thread.spawn(function()
                note "thread" (send "thread")
              end))
              coroutine.wrap(function()
                note "coroutine" (send "coroutine")
              end)()
            end)
          }
        ]],
      }
      assert.equal("true", seen(server, "timer"))
      assert.equal("true", seen(server, "thread"))
      assert.equal("true", seen(server, "coroutine"))
      check_quiet(server)
    end)

    it("returns what went wrong", function()
      local _, answer = start():get "/send?id=1&source=busy"
      assert.truthy(answer:find("^nil server_error: .*503"))
    end)

    it("lets the worker answer others, and many wait at once", function()
      local server = start()
      local finish = server:begin("/send?source=slow&id=[1-60]", 60)
      assert.truthy(shell.wait_until(function()
        local _, inside = server:get "/seen?name=inside"
        return tonumber(inside) >= 30
      end, 20))
      assert.same({ ["200"] = 60 }, finish())
      assert.equal(60, (received_ids()))
      check_quiet(server)
    end)

    it("is refused where nothing can wait, at the caller's line", function()
      local phases = { "header_filter", "body_filter", "log" }
      local server = start {
        init = [[
          function refused()
            local phase = ngx.get_phase()
            local _, text = pcall(function()
              clients.plain.messages:create(message "refused")
            end)
            seen[phase] = text
          end
        ]],
        http = "init_worker_by_lua_block { refused() }",
        server = [[
          location /phases {
            return 200 "x";
            header_filter_by_lua_block { refused() }
            body_filter_by_lua_block { refused() }
            log_by_lua_block { refused() }
          }
        ]],
      }
      server:get "/phases"
      for _, phase in ipairs { "init_worker", "header_filter", "body_filter", "log" } do
        assert.equal(
          "init_by_lua:27: in the phase " .. phase .. " nothing may wait: "
            .. "give the call a function as its last argument",
          (seen(server, phase):gsub("^init_by_lua%b():", "init_by_lua:"))
        )
      end
      assert.equal(3, #phases)
      assert.same({}, sandbox:received())
      check_quiet(server)
    end)
  end)

  it("a call with a function works in every phase of a worker", function()
    local phases = { "init_worker", "rewrite", "access", "header_filter", "body_filter", "log" }
    local server = start {
      init = [[
        function announce()
          local phase = ngx.get_phase()
          if not seen["did " .. phase] then
            seen["did " .. phase] = true
            assert(send(phase, "plain", note(phase)))
          end
        end
      ]],
      http = "init_worker_by_lua_block { announce() }",
      server = [[
        location /phases {
          rewrite_by_lua_block { announce() }
          access_by_lua_block { announce() }
          content_by_lua_block { ngx.print "x" }
          header_filter_by_lua_block { announce() }
          body_filter_by_lua_block { announce() }
          log_by_lua_block { announce() }
        }
      ]],
    }
    server:get "/phases"
    for _, phase in ipairs(phases) do
      assert.equal("true", seen(server, phase), phase)
    end
    assert.equal(#phases, (received_ids()))
    check_quiet(server)
  end)

  it("init_by_lua may make clients, starts no thread and is refused a call", function()
    local server = start {
      init = [[
        local fine, text = pcall(clients.plain.messages.create, clients.plain.messages, message "1",
          function() end)
        seen.refusal = text
      ]],
    }
    local _, answer = server:get "/seen?name=refusal"
    assert.truthy(answer:find("in init_by_lua there is no worker yet", 1, true))
    for _, pid in ipairs { server.master, server:workers()[1] } do
      assert.truthy(shell.read_file("/proc/" .. pid .. "/status"):find "Threads:%s+1\n")
    end
    _, answer = server:get "/send?id=1"
    assert.equal("true nil", answer)
    assert.truthy(shell.read_file("/proc/" .. server.master .. "/status"):find "Threads:%s+1\n")
    check_quiet(server)
  end)

  describe("a callback", function()
    it("may wait, and delays no other", function()
      local server = start {
        server = [[
          location /callbacks {
            content_by_lua_block {
              local begun, ended = 0, 0
              for i = 1, 200 do
                assert(send(i, "plain", function()
                  begun = begun + 1
                  if i % 2 == 0 then
                    seen.most = math.max(seen.most, begun - ended)
                    ngx.sleep(0.5)
                  end
                  ended = ended + 1
                  seen.all = ended == 200 and "all" or nil
                end))
              end
            }
          }
        ]],
      }
      assert.equal(200, (server:get "/callbacks"))
      assert.equal("all", seen(server, "all"))
      local _, most = server:get "/seen?name=most"
      assert.is_true(tonumber(most) > 10, most)
      check_quiet(server)
    end)

    it("may make calls, both kinds", function()
      local server = start {
        server = [[
          location /chain {
            content_by_lua_block {
              send(1, "plain", function()
                assert(send(2))
                send(3, "late", note "chained")
              end)
            }
          }
        ]],
      }
      server:get "/chain"
      assert.equal("true", seen(server, "chained"))
      assert.equal(3, (received_ids()))
      check_quiet(server)
    end)

    it("that fails is logged, and stops nothing", function()
      local server = start {
        server = [[
          location /failing {
            content_by_lua_block {
              send(1, "plain", function() error "oh dear" end)
              send(2, "plain", note "next")
            }
          }
        ]],
      }
      server:get "/failing"
      assert.equal("true", seen(server, "next"))
      local complaints = server:complaints()
      assert.equal(1, #complaints)
      assert.truthy(complaints[1]:find("a callback failed: .*oh dear"))
    end)

    it("that ends its timer with ngx.exit costs others a moment", function()
      local server = start {
        server = [[
          location /exiting {
            content_by_lua_block {
              for i = 1, 20 do
                send("n" .. i, "plain", i == 1 and function() ngx.exit(ngx.ERROR) end
                  or note("n" .. i))
              end
              send(2, "late", note "later")
            }
          }
        ]],
      }
      server:get "/exiting"
      local _, answer = server:get "/send?id=3&source=late"
      assert.equal("true nil", answer)
      os.execute "sleep 1.2"
      _, answer = server:get "/send?id=4"
      assert.equal("true nil", answer)
      assert.equal("true", seen(server, "later"))
      for i = 2, 20 do
        assert.equal("true", seen(server, "n" .. i))
      end
    end)
  end)

  it("an aborted request leaks nothing, whether nginx ends its light threads or not", function()
    local servers, finishes = {}, {}
    for i, check in ipairs { "on", "off" } do
      servers[i] = start { http = "lua_check_client_abort " .. check .. ";" }
      local path = "/send?source=slow&id=" .. check .. "[1-40]"
      finishes[i] = servers[i]:begin(path, 40, "--max-time 0.7")
    end
    for i, server in ipairs(servers) do
      assert.same({ ["000"] = 40 }, finishes[i]())
      assert.truthy(shell.wait_until(function()
        local _, busy = server:get "/busy"
        return busy == "false"
      end, 10))
      local _, inside = server:get "/seen?name=inside"
      assert.equal(i == 1 and "40" or "0", inside)
      check_quiet(server)
    end
    assert.equal(80, (received_ids()))
  end)

  it("thousands of requests in several workers, of several clients", function()
    local server = start {
      main = "worker_processes 3;",
      http = [[
        init_worker_by_lua_block {
          ngx.timer.at(0, function() assert(send("worker " .. ngx.worker.id())) end)
        }
      ]],
    }
    local first = server:begin("/send?id=[1-1500]", 50)
    local second = server:begin("/send?source=late&id=late-[1-750]", 250)
    assert.same({ ["200"] = 1500 }, first())
    assert.same({ ["200"] = 750 }, second())
    local count, ids = received_ids()
    assert.equal(2253, count)
    assert.equal(2253, #sandbox:received())
    for worker = 0, 2 do
      assert.equal(1, ids["worker " .. worker])
    end
    check_quiet(server)
  end)

  it("flush and close wait in a request, and refuse to where they cannot", function()
    local server = start {
      server = [[
        location /flush {
          content_by_lua_block {
            local called = 0
            for i = 1, 20 do
              send(i, "slow", function() called = called + 1 end)
            end
            local ok, err = clients.slow:flush(0.01)
            ngx.say(ok, " ", err.code, " ", err.pending, " ", called)
            ngx.say(clients.slow:flush(20), " ", called)
            send(21, "slow", function(_, failure) seen.closed = failure.code end)
            ngx.say(clients.slow:close(0.1), " ", seen.closed)
            ngx.say(select(2, send(22, "slow")).code)
          }
          log_by_lua_block {
            send(23, "late", note "last")
            local ok, err = clients.late:flush(1)
            seen.flushed = tostring(ok) .. " " .. err.code
          }
        }
      ]],
    }
    local _, answer = server:get "/flush"
    assert.equal("nil timeout 20 0\ntrue 20\ntrue closed\nclosed\n", answer)
    assert.equal("nil timeout", seen(server, "flushed"))
    assert.equal("true", seen(server, "last"))
    check_quiet(server)
  end)

  it("a reader that is often renewed loses nothing", function()
    local server = start {
      init = [[
        local limits = require("sendapi.runtime.nginx").limits
        limits.wakeups, limits.idle, limits.look = 2, 0.02, 0.01
        seen.called = 0
      ]],
      server = [[
        location /queue {
          content_by_lua_block {
            assert(send(ngx.var.arg_id, "plain", function(ok)
              seen.called = seen.called + (ok and 1 or 0)
            end))
          }
        }
      ]],
    }
    local queued = server:begin("/queue?id=q[1-1000]", 10)
    local sent = server:begin("/send?id=s[1-1000]", 10)
    assert.same({ ["200"] = 1000 }, sent())
    assert.same({ ["200"] = 1000 }, queued())
    assert.truthy(shell.wait_until(function()
      local _, called = server:get "/seen?name=called"
      return called == "1000"
    end, 10))
    assert.equal(2000, (received_ids()))
    check_quiet(server)
  end)

  it("without a place for its socket it looks for answers by itself, and says so once", function()
    local server = start { main = "env TMPDIR=/nowhere/at/all;" }
    assert.same({ ["200"] = 50 }, server:begin("/send?id=[1-50]", 10)())
    local complaints = server:complaints { "warn", "error", "alert" }
    assert.equal(1, #complaints)
    assert.truthy(complaints[1]:find("no socket for answers, they come late: No such file"))
  end)

  it("without a timer to spare a call helps itself", function()
    local server = start {
      main = "env X;",
      http = [[
        lua_max_running_timers 1;
        init_worker_by_lua_block { ngx.timer.at(0, function() ngx.sleep(60) end) }
      ]],
    }
    local _, answer = server:get "/send?id=1"
    assert.equal("true nil", answer)
    for _, line in ipairs(server:complaints()) do
      assert.truthy(line:find("lua_max_running_timers are not enough", 1, true), line)
    end
  end)

  it("lua_code_cache off: each request is a program of its own, slow but sound", function()
    local server = start { http = "lua_code_cache off;" }
    assert.same({ ["200"] = 60 }, server:begin("/send?id=[1-60]", 8)())
    assert.equal(60, (received_ids()))
    assert.same({}, server:complaints())
    assert.equal("", server:leftovers())
  end)
end)
