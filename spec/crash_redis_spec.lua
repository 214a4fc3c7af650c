--- Programs on an outbox in Redis, each as if on a machine of its own, that are killed or put to
-- sleep while they send; and Redis itself. SENDAPI_CRASH_ROUNDS says how often, divided by SHARE,
-- and SENDAPI_CRASH_SEED when.
local chance = require "spec.support.chance"
local core = require "sendapi.core"
local host = require "sendapi.sandbox.host"
local judges = require "spec.support.judge"
local program = require "spec.support.program"
local redis = require "spec.support.redis"
local sendapi = require "sendapi"
local send_api = require "spec.support.send_api"
local traffic = require "spec.support.traffic"

local SHARE = 40 -- rounds are longer than those of crash_spec.lua, by the time of a lease
local ROUNDS = math.ceil(chance.rounds() / SHARE)
local LEASE = 1 -- seconds
local LONGEST = 0.06 -- seconds until one is killed
local TAKEN_OVER = 8 -- seconds; twice the lease is meant, but the machine may be busy
local SLEEP = 5 -- seconds, at most: one that does not deliver loses nothing
local PATIENCE = 60 -- seconds, at most
local WINDOW = 256 -- rows of a deliverer that may have been answered while Redis is away

describe("#house on an outbox in Redis", function()
  local sandbox, server, judge, random
  local running, streams
  local said -- how often, by what

  before_each(function()
    sandbox = assert(host.start { sources = traffic.sources { plain = {} } })
    server = redis.start()
    judge = judges.new(sandbox)
    random = chance.new()
    running, streams, said = {}, 0, {}
  end)

  after_each(function()
    for _, sender in ipairs(running) do
      sender:kill()
    end
    server:stop()
    sandbox:stop()
  end)

  local function outbox()
    return ("%s?lease=%d"):format(server.url, LEASE)
  end

  --- Starts a sender in a stream of its own, or with a rate of 0 one that only delivers.
  local function start(rate)
    streams = streams + 1
    local sender = program.send {
      url = sandbox.http,
      outbox = outbox(),
      stream = streams,
      rate = rate,
    }
    sender.delivers = false
    running[#running + 1] = sender
    return sender
  end

  --- A sender's line. A busy machine may cost a deliverer its lease at any time, so that it says.
  local function hear(sender, line)
    if line:find "^%d" then
      judge:confirm(line)
    else
      sender.delivers = line == "delivers" or (sender.delivers and line == "no storage")
      assert.truthy(line:find "^delivers" or line == "no storage", line)
      said[line] = (said[line] or 0) + 1
    end
  end

  --- Hears what a sender says until something is so of its last line.
  local function await_that(sender, condition)
    local deadline = core.now() + PATIENCE
    repeat
      local line = assert(sender:read(), "it ended by itself")
      hear(sender, line)
      assert.is_true(core.now() < deadline, line)
    until condition(line)
  end

  local function await(sender, pattern)
    await_that(sender, function(line)
      return line:find(pattern)
    end)
  end

  --- Hears what a sender says until it delivers, or does not; it may have said so before.
  local function await_delivering(sender, delivers)
    if sender.delivers ~= delivers then
      await_that(sender, function()
        return sender.delivers == delivers
      end)
    end
  end

  local function kill(sender)
    for i, other in ipairs(running) do
      if other == sender then
        table.remove(running, i)
      end
    end
    for line in sender:kill() do
      hear(sender, line)
    end
  end

  --- Waits until something is so; whether it is.
  local function wait_for(seconds, condition)
    local deadline = core.now() + seconds
    while not condition() do
      if core.now() > deadline then
        return false
      end
      core.sleep(0.02)
    end
    return true
  end

  local function await_empty()
    assert.is_true(wait_for(PATIENCE, function()
      return server:ask "XLEN 'sendapi:{plain}:pending'" == "0\n"
    end))
  end

  --- Whose the lease is, by number.
  local function lease()
    return server:ask "HGET 'sendapi:{plain}:state' token"
  end

  local function drain()
    local options = { base_url = sandbox.http, outbox = outbox() }
    local client = sendapi.client("plain", send_api.token, options)
    client:outbox():pending()
    await_empty()
    client:close(PATIENCE)
  end

  --- Judges. Each time another delivers, what was on its way may come again.
  local function check(kills, more)
    judge:hear()
    assert.same({}, judge:lost())
    assert.is_nil(judge.disorder)
    local most = ((said.delivers or 0) + kills) * judges.in_flight + (more or 0)
    assert.is_true(judge.duplicates <= most, judge.duplicates)
  end

  --- Runs a spec; what fails says with which seed.
  local function by_chance(play)
    local fine, problem = pcall(play)
    assert.is_true(fine, ("SENDAPI_CRASH_SEED=%d: %s"):format(random.seed, tostring(problem)))
  end

  local function await_moment(sender)
    await(sender, "^%d")
    core.sleep(random() * LONGEST)
  end

  it("a deliverer that is killed is replaced within the lease", function()
    by_chance(function()
      local deliverer, shortest = start(500), math.huge
      await_delivering(deliverer, true)
      for _ = 1, ROUNDS do
        local heir = start(500)
        await_moment(heir)
        kill(deliverer)
        local killed = core.now()
        await_delivering(heir, true)
        shortest = math.min(shortest, core.now() - killed)
        deliverer = heir
      end
      kill(deliverer)
      drain()
      check(ROUNDS + 1)
      assert.is_true(shortest < TAKEN_OVER)
    end)
  end)

  it("a deliverer that sleeps past its lease delivers no more", function()
    by_chance(function()
      local one = start(500)
      await_delivering(one, true)
      local other = start(500)
      for _ = 1, ROUNDS do
        await_moment(other)
        local before = lease()
        one:signal "STOP"
        wait_for(SLEEP, function()
          return lease() ~= before
        end)
        core.sleep(random() * LONGEST)
        one:signal "CONT"
        if lease() ~= before then
          await_delivering(one, false)
        end
        one, other = other, one
      end
      kill(one)
      kill(other)
      drain()
      check(2)
      assert.is_true((said["delivers no more"] or 0) > 0, "none was fenced")
    end)
  end)

  it("what Redis had confirmed outlives it, and delivery goes on by itself", function()
    by_chance(function()
      local deliverer = start(0)
      await_delivering(deliverer, true)
      for _ = 1, ROUNDS do
        local sender = start(1000)
        await_moment(sender)
        server:kill()
        await(sender, "^no storage$")
        core.sleep(random() * LONGEST)
        server:revive()
        await_moment(sender)
        kill(sender)
      end
      await_empty()
      kill(deliverer)
      check(ROUNDS + 1, ROUNDS * WINDOW)
    end)
  end)
end)
