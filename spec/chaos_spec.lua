--- Every fault at once, and the rules of sending again: what is accepted ends in one outcome, order
-- holds, and a message comes twice only where its answer was lost.
local clients = require "spec.support.clients"
local core = require "sendapi.core"
local traffic = require "spec.support.traffic"

local mix = {
  { kind = "status", status = 500, probability = 0.04 },
  { kind = "status", status = 503, probability = 0.03 },
  { kind = "status", status = 408, probability = 0.02 },
  { kind = "status", status = 422, text = "No", probability = 0.02 },
  { kind = "status", status = 204, probability = 0.01 },
  { kind = "status", status = 401, probability = 0.01 },
  { kind = "status", status = 503, retry_after = 0, probability = 0.02 },
  { kind = "delay", seconds = 0.05, probability = 0.03 },
  { kind = "drop", probability = 0.04 },
  { kind = "drop", reset = true, probability = 0.03 },
  { kind = "half", probability = 0.03 },
  { kind = "half", reset = true, probability = 0.02 },
  { kind = "drip", seconds = 0.0005, probability = 0.03 },
  { kind = "body", text = "<html>fine</html>", probability = 0.02 },
  { kind = "redirect", to = "/elsewhere", probability = 0.02 },
  { kind = "close", probability = 0.02 },
  { kind = "reset", at = "before", probability = 0.02 },
  { kind = "reset", at = "middle", probability = 0.02 },
  { kind = "reset", at = "after", probability = 0.02 },
  { kind = "garbage", probability = 0.02 },
  { kind = "flood", bytes = 200000, probability = 0.02 },
}

local function status(code, fields)
  fields = fields or {}
  fields.kind, fields.status = "status", code
  return { fault = fields }
end

describe("#house under chaos", function()
  local own = clients.of(traffic.sources {
    plain = {},
    chaotic = { faults = mix, seed = 3 },
    stalling = { faults = { { kind = "delay", seconds = 2, probability = 0.1 } }, seed = 1 },
    asked = status(503, { retry_after = 1, times = 1 }),
    dated = status(429, { retry_after_date = 2, times = 1 }),
    silenced = status(503, { retry_after = 999999 }),
    nonsense = status(503, { headers = { ["Retry-After"] = "-5" }, times = 1 }),
    past = status(503, { retry_after_date = -1000, times = 1 }),
    throttled = status(429, { retry_after = 2, times = 1 }),
    throttling = status(429, { times = 1 }),
    chatty = status(429, { retry_after = 9, times = 1 }),
    down = status(503),
    refusing = status(422, { text = "No" }),
  })
  local new = own.new
  local sandbox

  setup(function()
    sandbox = own.start()
  end)
  teardown(own.stop)
  before_each(own.clear)
  after_each(own.close)

  --- Sends so many messages, and polls until all have ended.
  local function send_all(client, messages, conversations)
    local sent = traffic.new(client)
    for id = 1, messages do
      assert.is_true(sent:send(id, id % conversations))
      client:poll()
      assert.is_true(sent:adds_up())
    end
    assert.same({ true }, { sent:finish(60) })
    return sent
  end

  --- What holds whatever the faults were.
  local function check(sent)
    local delivered, other = sent:count()
    assert.truthy(delivered, other)
    local stats = sent.client:stats()
    assert.equal(#sent.sent, stats.accepted)
    assert.equal(delivered, stats.delivered)
    assert.equal(other, stats.refused + stats.failed)
    assert.equal(0, stats.pending)
    assert.equal(0, stats.pending_bytes)

    local arrivals = traffic.arrivals(sandbox:received())
    for _, id in ipairs(sent.sent) do
      local is_accepted = arrivals.accepted[id] ~= nil
      assert.is_true(is_accepted or not sent:is_delivered(id), id .. " did not arrive")
    end
    assert.same({}, arrivals.unexplained)
    assert.is_nil(sent:find_disorder(arrivals.first))
    return stats, arrivals
  end

  for _, protocol in ipairs { "http", "https" } do
    it("every call has one outcome, over " .. protocol, function()
      local retry = { attempts = 8, first = 0.02, longest = 0.2 }
      local client = new("chaotic", { base_url = sandbox[protocol], retry = retry })
      local sent = send_all(client, 300, 30)
      local stats, arrivals = check(sent)
      assert.is_true(stats.delivered > 240, stats.delivered)
      assert.is_true(stats.refused > 0)
      assert.is_true(stats.retries > 50, stats.retries)
      local duplicates = 0
      for _, times in pairs(arrivals.accepted) do
        duplicates = duplicates + times - 1
      end
      assert.is_true(duplicates > 5, duplicates)
    end)
  end

  it("nothing is lost to answers that come after the timeout", function()
    local client = new("stalling", {
      timeout = 1,
      retry = { attempts = 8, first = 0.02, longest = 0.1 },
    })
    local sent = send_all(client, 100, 20)
    local stats = check(sent)
    assert.equal(100, stats.delivered)
    assert.is_true(stats.retries > 0)
  end)

  describe("Retry-After", function()
    local quick = { attempts = 4, first = 0.01, longest = 0.02 }

    --- Seconds between the arrivals of a message that is refused once, and when the first was.
    local function measure(source_id)
      local client = new(source_id, { retry = quick })
      assert.is_true((client.messages:create(traffic.message(1))))
      local received = sandbox:received()
      assert.equal(2, #received)
      return received[2].at - received[1].at, received[1].at
    end

    it("is honoured in seconds", function()
      local waited = measure "asked"
      assert.is_true(waited >= 0.99 and waited < 5, waited)
    end)

    it("is honoured as a date", function()
      local waited, began = measure "dated"
      assert.is_true(began + waited >= math.floor(began) + 2 - 0.01, waited)
      assert.is_true(waited < 6, waited)
    end)

    it("means nothing when it is negative or in the past", function()
      assert.is_true(measure "nonsense" < 3)
      sandbox:clear()
      assert.is_true(measure "past" < 3)
    end)

    it("is not waited for beyond the deadline", function()
      local client = new("silenced", { retry = quick, deadline = 30 })
      local start = core.now()
      local _, err = client.messages:create(traffic.message(1))
      assert.is_true(core.now() - start < 20)
      assert.equal("server_error", err.code)
      assert.equal(1, err.attempts)
    end)

    it("ends at once what it leaves no time for, and is named", function()
      local client = new("silenced", { retry = quick, deadline = 30 })
      local sent = traffic.new(client)
      local start = core.now()
      for id = 1, 5 do
        sent:send(id, id % 2) -- some go, some wait behind them
      end
      assert.same({ true }, { sent:finish(18) })
      sent:send(6)
      assert.same({ true }, { sent:finish(18) })
      assert.is_true(core.now() - start < 20)
      for id = 1, 6 do
        assert.equal("server_error", sent.outcomes[tostring(id)][1].code)
      end
      local err = sent.outcomes["6"][1]
      assert.equal(0, err.attempts)
      assert.is_nil(err.status)
      assert.is_true(err.retryable)
      assert.truthy(err.message:find("asked for a pause beyond the deadline", 1, true))
      assert.is_true(#sandbox:received() <= 2)
    end)
  end)

  describe("429", function()
    it("slows the whole source, not another", function()
      local client, other = new "throttled", new "plain"
      local sent = traffic.new(client)
      sent:send(1, "a")
      while #sandbox:received() == 0 do
        client:poll()
      end
      local answered = core.now() + 0.2
      while core.now() < answered do
        client:poll()
      end
      for id = 2, 6 do
        sent:send(id, "thread " .. id)
      end
      assert.is_true((other.messages:create(traffic.message(7))))
      assert.same({ true }, { sent:finish(18) })
      local received = sandbox:received()
      assert.equal("plain", received[2].source_id)
      assert.equal(8, #received)
      for place = 3, 8 do
        assert.is_true(received[place].at - received[1].at >= 1.99)
      end
      assert.equal(6, client:stats().delivered)
    end)

    it("slows it for a while when it says nothing", function()
      local client = new("throttling", { retry = { attempts = 4, first = 0.01, longest = 0.02 } })
      assert.is_true((client.messages:create(traffic.message(1))))
      local received = sandbox:received()
      assert.is_true(received[2].at - received[1].at >= 0.9)
    end)

    it("ends typing, which is not sent again and slows nothing", function()
      local client = new "chatty"
      local typing_error
      client.typing:start({ thread_id = "42", preview = "a" }, function(_, err)
        typing_error = err
      end)
      assert.is_true(client:flush(30))
      assert.equal("throttled", typing_error.code)
      assert.equal(1, typing_error.attempts)
      local start = core.now()
      assert.is_true((client.messages:create(traffic.message(1))))
      assert.is_true(core.now() - start < 8)
      assert.equal(2, #sandbox:received())
    end)
  end)

  it("typing is not sent again whatever happens", function()
    local client = new "down"
    local _, err = client.typing:start { thread_id = "42", preview = "a" }
    assert.equal("server_error", err.code)
    assert.equal(1, #sandbox:received())
  end)

  describe("a retry function", function()
    local function ask(source_id, retry, options)
      options = options or {}
      options.retry = retry
      local client = new(source_id, options)
      local ok, err = client.messages:create(traffic.message(1))
      return ok, err, client:stats()
    end

    it("is asked with the error and the attempt, and says how long to wait", function()
      local asked = {}
      local _, err, stats = ask("down", function(failure, attempt)
        asked[#asked + 1] = failure.code .. " " .. failure.status .. " " .. attempt
        return attempt < 3 and 0.3 or nil
      end)
      assert.same({ "server_error 503 1", "server_error 503 2", "server_error 503 3" }, asked)
      assert.equal(3, err.attempts)
      assert.equal(2, stats.retries)
      assert.equal(1, stats.failed)
      local received = sandbox:received()
      assert.equal(3, #received)
      assert.is_true(received[3].at - received[1].at >= 0.59)
    end)

    it("may send again what would not be", function()
      local _, err = ask("refusing", function(_, attempt)
        return attempt < 2 and 0 or nil
      end)
      assert.equal("refused", err.code)
      assert.equal(2, #sandbox:received())
    end)

    it("gives up by nil, by nonsense and by an error", function()
      local logged = {}
      local answers = {
        function() end,
        function()
          return "soon"
        end,
        function()
          return 0 / 0
        end,
        function()
          error "oh dear"
        end,
      }
      for _, answer in ipairs(answers) do
        local _, err = ask("down", answer, {
          log = function(_, text)
            logged[#logged + 1] = text
          end,
        })
        assert.equal(1, err.attempts)
      end
      assert.equal(4, #sandbox:received())
      assert.equal(1, #logged)
      assert.truthy(logged[1]:find "the retry function failed: .*oh dear")
    end)

    it("keeps order, outcomes and figures", function()
      local client = new("chaotic", {
        retry = function(err, attempt)
          return err.retryable and attempt < 8 and 0.01 or nil
        end,
      })
      local stats = check(send_all(client, 150, 15))
      assert.is_true(stats.delivered > 120, stats.delivered)
      assert.is_true(stats.retries > 10)
    end)

    it("is bounded by the deadline", function()
      local start = core.now()
      local ok = ask("down", function()
        return 0.05
      end, { deadline = 0.5 })
      assert.is_nil(ok)
      assert.is_true(core.now() - start < 15)
    end)
  end)
end)
