--- Programs that are killed in the middle of sending, again and again: what they had confirmed
-- arrives. SENDAPI_CRASH_ROUNDS says how often, SENDAPI_CRASH_SEED when.
local chance = require "spec.support.chance"
local core = require "sendapi.core"
local host = require "sendapi.sandbox.host"
local judges = require "spec.support.judge"
local program = require "spec.support.program"
local sendapi = require "sendapi"
local send_api = require "spec.support.send_api"
local temporary = require "spec.support.temporary"
local traffic = require "spec.support.traffic"

local LONGEST = 0.06 -- seconds until one is killed
local SLICE = 50 -- rounds between two judgements
local PATIENCE = 60 -- seconds, at most

describe("programs that are killed while they send", function()
  local sandbox, directory, judge, random
  local running -- at most two, in different streams; the older first

  before_each(function()
    sandbox = assert(host.start { sources = traffic.sources { plain = {} } })
    directory = temporary.directory()
    judge = judges.new(sandbox)
    random = chance.new()
    running = {}
  end)

  after_each(function()
    for _, sender in ipairs(running) do
      sender:kill()
    end
    sandbox:stop()
    directory:remove()
  end)

  --- A sender's line. On a busy machine one may wait in vain for the file, which it says then.
  local function hear(line)
    if line:find "^%d" then
      judge:confirm(line)
    else
      assert.truthy(line:find "^delivers" or line == "no storage", line)
    end
  end

  local function start(round)
    local stream = running[1] and 3 - running[1].stream or 1
    local sender = program.send {
      url = sandbox.http,
      outbox = directory:path_of "outbox.db",
      stream = stream,
      first = round * 1000000,
    }
    sender.stream = stream
    running[#running + 1] = sender
    return sender
  end

  local function await_confirmation(sender)
    local line
    repeat
      line = sender:read()
      hear(line or "it ended by itself")
    until line:find "^%d"
  end

  local function kill_oldest()
    for line in table.remove(running, 1):kill() do
      hear(line)
    end
  end

  --- Starts one and kills none, one or two, so that some begin, send and deliver beside another.
  local function play(round)
    local sender = start(round)
    if random() < 0.8 then
      await_confirmation(sender)
    end
    core.sleep(random() * LONGEST)
    if #running == 2 or random() < 0.5 then
      kill_oldest()
    end
    if running[1] and random() < 0.5 then
      kill_oldest()
    end
  end

  local function drain()
    local client = sendapi.client("plain", send_api.token, {
      base_url = sandbox.http,
      outbox = directory:path_of "outbox.db",
    })
    local deadline = core.now() + PATIENCE
    while client:outbox():pending() ~= 0 do
      assert.is_true(core.now() < deadline, "not everything is delivered")
      core.sleep(0.01)
    end
    client:close(PATIENCE)
  end

  local function check(kills)
    judge:hear()
    assert.same({}, judge:lost())
    assert.is_nil(judge.disorder)
    assert.is_true(judge.duplicates <= kills * judges.in_flight, judge.duplicates)
  end

  it("lose nothing that was confirmed", function()
    local last = chance.rounds()
    local fine, problem = pcall(function()
      for round = 1, last do
        play(round)
        if round % SLICE == 0 or round == last then
          while running[1] do
            kill_oldest()
          end
          drain()
          check(round)
        end
      end
    end)
    assert.is_true(fine, ("SENDAPI_CRASH_SEED=%d: %s"):format(random.seed, tostring(problem)))
    assert.is_true(#judge.confirmed >= last, "hardly anything was confirmed")
  end)
end)
