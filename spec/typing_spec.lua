--- What the server's rule for typing means for the client: one start per thread every two seconds.
local typing = require "sendapi.typing"

local START, STOP = "typing.start", "typing.stop"

describe("the times of typing", function()
  local times

  before_each(function()
    times = typing.new()
  end)

  --- What is said of each of these { action, thread, now }, when what is not early is sent.
  local function early(calls)
    local answers = {}
    for i, call in ipairs(calls) do
      answers[i] = typing.is_early(times, call[1], call[2], call[3])
      if not answers[i] then
        typing.note(times, call[1], call[2], call[3])
      end
    end
    return answers
  end

  it("let a start pass every two seconds, counted from the last that was sent", function()
    local calls = {
      { START, "a", 10 },
      { START, "a", 10 },
      { START, "a", 11.999 },
      { START, "a", 12 },
      { START, "a", 13.9 },
      { START, "a", 14 },
      { START, "a", 100 },
    }
    assert.same({ false, true, true, false, true, false, false }, early(calls))
  end)

  it("are each thread's own", function()
    local calls = {
      { START, "a", 10 },
      { START, "b", 10 },
      { START, "1", 10 },
      { START, "b", 11 },
      { START, "a", 12 },
    }
    assert.same({ false, false, false, true, false }, early(calls))
  end)

  it("begin anew with a stop, which is never early", function()
    local calls = {
      { STOP, "a", 10 },
      { STOP, "a", 10 },
      { START, "a", 10 },
      { STOP, "a", 10.1 },
      { STOP, "a", 10.2 },
      { START, "a", 10.3 },
      { START, "a", 10.4 },
      { STOP, "b", 10.5 },
      { START, "a", 10.6 },
    }
    assert.same({ false, false, false, false, false, false, true, false, true }, early(calls))
  end)

  it("count nothing that was not sent", function()
    for now = 10, 20 do
      assert.is_false(typing.is_early(times, START, "a", now))
    end
    assert.equal(0, times.count)
  end)

  local function held()
    local count = 0
    for _ in pairs(times.at) do
      count = count + 1
    end
    assert.equal(count, times.count)
    return count
  end

  it("are forgotten with a stop", function()
    for i = 1, 10 do
      typing.note(times, START, "thread " .. i, 10)
      typing.note(times, START, "thread " .. i, 12)
    end
    assert.equal(10, held())
    for i = 1, 10 do
      typing.note(times, STOP, "thread " .. i, 12)
    end
    assert.equal(0, held())
  end)

  it("are bounded by the threads of the last two seconds", function()
    for i = 1, 20000 do
      typing.note(times, START, "thread " .. i, i / 100)
    end
    assert.is_true(held() <= 1001)
    assert.is_true(typing.is_early(times, START, "thread 20000", 200.5))
    assert.is_true(typing.is_early(times, START, "thread 19900", 200.5))
    assert.is_false(typing.is_early(times, START, "thread 19800", 200.5))
  end)
end)
