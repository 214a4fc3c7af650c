--- The ways in which a program waits: one contract, run against each runtime that may be here.
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local raising = require "spec.support.raising"
local runtimes = require "spec.support.runtimes"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"

local TOKEN = send_api.token
local message = send_api.params
local PATIENCE, STUCK = runtimes.PATIENCE, runtimes.STUCK
local programs, is_here = runtimes.programs, runtimes.is_here
local guarded, new_client = runtimes.guarded, runtimes.new_client
local start, stop, begin, finish = runtimes.start, runtimes.stop, runtimes.begin, runtimes.finish

for name, program in pairs(programs) do
  describe("#house the runtime " .. name, function()
    setup(start)
    teardown(stop)
    before_each(begin)
    after_each(finish)

    local function new(source_id, options)
      options = options or {}
      options.runtime = name
      return new_client(source_id, options)
    end

    local function run(body)
      local began = core.now()
      program.run(body, runtimes.clients())
      assert.equal(nil, runtimes.raised[1])
      assert.is_false(engine.is_busy())
      return core.now() - began
    end

    --- A test, which is skipped where the library is missing.
    local function test(title, body)
      it(title, function()
        if is_here(name, pending) then
          body()
        end
      end)
    end

    test("gives the outcome to a call that waits", function()
      local plain, busy = new(), new("busy", { retry = false })
      run(function()
        assert.is_true(plain.messages:create(message(1)))
        local ok, err = busy.messages:create(message(2))
        assert.is_nil(ok)
        assert.equal("server_error", err.code)
        ok, err = plain.messages:create {}
        assert.is_nil(ok)
        assert.equal("invalid_params", err.code)
        assert.is_true(plain.messages:create(message(3)))
      end)
      assert.equal(2, plain:stats().delivered)
    end)

    test("calls a function exactly once, with the outcome", function()
      local plain, wrong = new(), new "wrong"
      local outcomes = {}
      local function note(id)
        return function(ok, err)
          outcomes[id] = (outcomes[id] or "") .. (ok and "delivered" or err.code)
        end
      end
      run(function()
        for i = 1, 40 do
          assert.is_true(plain.messages:create(message(i), note(i)))
          assert.is_true(wrong.messages:create(message(i), note(-i)))
        end
      end)
      for i = 1, 40 do
        assert.equal("delivered", outcomes[i])
        assert.equal("invalid_signature", outcomes[-i])
      end
    end)

    test("lets many wait at once, of two clients", function()
      local one, other = new "late", new "late"
      local waiting, most, done = 0, 0, 0
      run(function()
        for i = 1, 6 do
          program.spawn(function()
            local client = i % 2 == 0 and one or other
            waiting = waiting + 1
            most = math.max(most, waiting)
            assert.is_true(client.messages:create(message(i)))
            waiting, done = waiting - 1, done + 1
          end)
        end
      end)
      assert.equal(6, done)
      assert.equal(program.overlaps and 6 or 1, most)
    end)

    test("goes on when a function fails, and logs it", function()
      local client = new()
      local reached = 0
      run(function()
        for i = 1, 3 do
          client.messages:create(message(i), function()
            reached = reached + 1
            error(i == 1 and "oh dear" or setmetatable({}, { __tostring = error }))
          end)
        end
        assert.is_true(client.messages:create(message(4)))
      end)
      assert.equal(3, reached)
      assert.equal(3, #runtimes.logged)
      assert.truthy(table.concat(runtimes.logged):find("error: a callback failed: .*oh dear"))
    end)

    test("goes on when even the log fails", function()
      local client = new("plain", { log = error })
      local reached = 0
      run(function()
        for i = 1, 3 do
          client.messages:create(message(i), function()
            reached = reached + 1
            error "oh dear"
          end)
        end
      end)
      assert.equal(3, reached)
    end)

    test("lets a function make calls", function()
      local client = new()
      local codes = {}
      run(function()
        client.messages:create(message(1), function()
          client.messages:create(message(2), function(ok)
            codes[1] = ok
            codes[2] = client.messages:create(message(3))
          end)
        end)
      end)
      assert.is_true(codes[1])
      if program.waits_anywhere or program.waits_in_callbacks then
        assert.same({}, runtimes.logged)
        assert.is_true(codes[2])
      else
        local refusal = "runtime_spec.lua:%d+: in the %l+ runtime a call waits only"
        assert.truthy(runtimes.logged[1]:find(refusal))
      end
    end)

    test("delays no function by one that waits", function()
      local plain, stuck = new(), new "stuck"
      local order = {}
      run(function()
        for i = 1, 3 do
          plain.messages:create(message(i, 1), function()
            if i == 1 and program.waits_in_callbacks then
              stuck.messages:create(message(9))
            end
            order[#order + 1] = i
            if i == 3 then
              stuck:close(0)
            end
          end)
        end
      end)
      assert.same(program.waits_in_callbacks and { 2, 3, 1 } or { 1, 2, 3 }, order)
    end)

    -- Of several, since LuaJIT may keep one in what it has compiled, and its stack one for a while.
    test("forgets clients that nobody uses any more", function()
      local function count()
        return select(2, sendapi.prometheus():gsub('sendapi_pending{source="forgotten%-', ""))
      end
      local before = count()
      run(function()
        for i = 1, 5 do
          local client = new("forgotten-" .. i)
          client.messages:create(message(1), function() end)
          assert.is_true(client:flush(PATIENCE))
        end
        assert.equal(before + 5, count())
      end)
      runtimes.forget_clients()
      collectgarbage()
      collectgarbage()
      assert.is_true(count() <= before + 1, count())
    end)

    -- As a finalizer takes it that closes a client, or a hook that polls.
    test("gives an outcome that was there before it was waited for", function()
      local client = new()
      local expect = engine.expect
      engine.expect = function(...)
        assert.is_true(engine.get():wait(20))
        engine.collect()
        return expect(...)
      end
      finally(function()
        engine.expect = expect
      end)
      local done
      run(function()
        done = client.messages:create(message(1))
      end)
      assert.is_true(done)
    end)

    test("flushes from within", function()
      local client = new "late"
      local count = 0
      run(function()
        for i = 1, 5 do
          client.messages:create(message(i), function()
            count = count + 1
          end)
        end
        local ok, err = client:flush(0.05)
        assert.is_nil(ok)
        assert.equal(5 - count, err.pending)
        assert.is_true(client:flush(PATIENCE))
        assert.equal(5, count)
      end)
    end)

    test("closes from within, and from a function", function()
      local late, stuck = new "late", new "stuck"
      local codes = {}
      local function note(_, err)
        codes[#codes + 1] = err and err.code
      end
      local seconds = run(function()
        for i = 1, 3 do
          stuck.messages:create(message(i), note)
        end
        late.messages:create(message(4), function()
          stuck:close(0)
        end)
        assert.is_true(late:close(PATIENCE))
        assert.is_true(late:close())
        local _, err = late.messages:create(message(5))
        assert.equal("closed", err.code)
      end)
      assert.same({ "closed", "closed", "closed" }, codes)
      assert.is_true(seconds < STUCK / 2)
    end)

    if not program.waits_anywhere then
      test("raises at the caller's line where nothing may wait", function()
        local client = new()
        local function refused(call)
          local text = raising.text(call)
          assert.truthy(text:find("^in the %l+ runtime a call waits only in a coroutine"))
          assert.truthy(text:find("give it a function as its last argument", 1, true))
        end
        refused(function()
          client.messages:create(message(1))
        end)
        refused(function()
          client:send("messages.create", message(1))
        end)
        assert.equal(0, client:stats().accepted)
      end)

      test("flushes where nothing else may wait", function()
        local client = new "late"
        local done
        assert.is_true(client.messages:create(message(1), function(ok)
          done = ok
        end))
        assert.is_true(client:flush(PATIENCE)) -- and leaves no timer behind
        assert.is_true(done)
        assert.is_true(run(function() end) < PATIENCE / 2)
      end)
    end
  end)
end

for _, name in ipairs { "tick", "luv" } do
  local program = programs[name]

  describe("#house a coroutine that waits, in the runtime " .. name, function()
    setup(start)
    teardown(stop)
    before_each(begin)
    after_each(finish)

    local function test(title, body)
      it(title, function()
        if is_here(name, pending) then
          body(new_client("late", { runtime = name }))
        end
      end)
    end

    local function run(body)
      program.run(body, runtimes.clients())
    end

    test("is not deceived by others that resume it", function(client)
      local outcomes = {}
      local waiting = coroutine.create(guarded(function()
        outcomes[#outcomes + 1] = client.messages:create(message(1))
        assert.equal("meant", coroutine.yield "done")
        outcomes[#outcomes + 1] = "resumed"
      end))
      run(function()
        assert.is_true(coroutine.resume(waiting))
        for _ = 1, 3 do
          assert.is_true(coroutine.resume(waiting, "not meant"))
          assert.equal("suspended", coroutine.status(waiting))
        end
        assert.same({}, outcomes)
      end)
      assert.same({ true }, outcomes)
      assert.is_true(coroutine.resume(waiting, "meant"))
      assert.same({ true, "resumed" }, outcomes)
    end)

    test("is not deceived while it flushes", function(client)
      local flushed
      local flushing = coroutine.create(guarded(function()
        client.messages:create(message(1), function() end)
        flushed = client:flush(PATIENCE)
      end))
      run(function()
        assert.is_true(coroutine.resume(flushing))
        for _ = 1, 3 do
          assert.is_true(coroutine.resume(flushing))
        end
        assert.is_nil(flushed)
      end)
      assert.is_true(flushed)
    end)

    test("may fail afterwards: that is runtimes.logged, and stops nothing", function(client)
      local reached
      run(function()
        coroutine.wrap(function()
          client.messages:create(message(1))
          error "oh dear"
        end)()
        coroutine.wrap(function()
          reached = client.messages:create(message(2))
        end)()
      end)
      assert.is_true(reached)
      assert.equal(1, #runtimes.logged)
      local report = "^error: a coroutine failed: .*oh dear.*stack traceback"
      assert.truthy(runtimes.logged[1]:find(report))
    end)

    test("may be closed meanwhile, and leaves nothing behind", function(client)
      local weak = setmetatable({}, { __mode = "k" })
      run(function()
        for i = 1, 5 do
          local waiting = coroutine.create(function()
            client.messages:create(message(i))
          end)
          weak[waiting] = true
          assert.is_true(coroutine.resume(waiting))
          if coroutine.close then
            assert.is_true(coroutine.close(waiting))
          end
        end
      end)
      collectgarbage()
      collectgarbage()
      assert.is_nil(next(weak))
      assert.same({}, runtimes.logged)
      assert.equal(5, client:stats().delivered)
    end)

    test("resumes who waits for another client, in whichever order", function(client)
      local other = new_client("plain", { runtime = name })
      local order = {}
      run(function()
        coroutine.wrap(guarded(function()
          assert.is_true(client.messages:create(message(1)))
          order[#order + 1] = "late"
          assert.is_true(other.messages:create(message(2)))
          order[#order + 1] = "both"
        end))()
        coroutine.wrap(guarded(function()
          assert.is_true(other.messages:create(message(3)))
          order[#order + 1] = "plain"
        end))()
      end)
      assert.same({ "plain", "late", "both" }, order)
    end)
  end)
end

describe("#house the option runtime", function()
  before_each(begin)

  it("refuses a name that it does not know, with a suggestion", function()
    local text = raising.text(function()
      sendapi.client("plain", TOKEN, { domain = "acme", runtime = "cqueue" })
    end)
    assert.truthy(text:find("there is no 'cqueue', did you mean 'cqueues'?", 1, true), text)
  end)
end)
