--- What brings a client's calls on, by its state (state.lua): running its callbacks, waiting until
-- nothing is under way, closing.
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local errors = require "sendapi.error"
local outbox = require "sendapi.outbox"
local runtime = require "sendapi.runtime"

local M = {}

local CANCELLED = 2 -- seconds within which cancelled requests come back
local STALLED = 0.5 -- seconds of failures and no delivery after which an outbox is left
local GLANCE = 0.01 -- seconds between two looks at what it delivers

--- Whether a callback of the client's poll runs now. One that waits in another coroutine, perhaps
-- for ever, keeps nobody from polling.
local function is_polling(state)
  local polling = state.polling
  if type(polling) ~= "thread" then
    return polling
  end
  local status = coroutine.status(polling)
  return status == "running" or status == "normal"
end

local function advance(state, most, seconds)
  state.polling = coroutine.running() or true
  local start, count = core.now(), 0
  local done, run_one
  repeat
    done, run_one = engine.advance(state)
    count = count + (run_one and 1 or 0)
  until not done or count >= most or core.now() - start >= seconds
  state.polling = nil
  if done then
    engine.get():remind() -- a loop that watches the descriptor is to poll once more
  end
  return count
end

--- Runs what is due, within bounds. A callback that polls runs nothing. Protected, because a hook
-- (Ctrl-C) may raise anywhere.
function M.poll(state, most, seconds)
  if is_polling(state) then
    return 0
  end
  engine.forsake_parent()
  engine.get():calm()
  local fine, count = pcall(advance, state, most, seconds)
  if not fine then
    state.polling = nil
    error(count, 0)
  end
  if state.sleepers then
    require("sendapi.runtime.tick").wake_sleepers(state)
  end
  return count
end

local function run_due(state)
  engine.collect()
  while engine.run_one(state) do -- luacheck: ignore
  end
end

local function run_due_unless_polled(state, host)
  if not (host.is_polled and host.is_polled()) then
    run_due(state)
  end
end

function M.flush(state, seconds)
  engine.forsake_parent()
  local host = runtime.choose(state.options.runtime)
  local deadline = core.now() + (seconds or math.huge)
  while true do
    run_due_unless_polled(state, host)
    local left = deadline - core.now()
    local pending = engine.pending(state)
    if pending == 0 then
      return true
    end
    if left <= 0 or not host.pause(left, state) then
      local err = errors.new({
        code = "timeout",
        message = "requests still under way: " .. pending,
      }, "flush")
      err.pending = pending
      return nil, err
    end
  end
end

--- Waits while this process delivers what is pending in the outbox now; not for what stalls.
local function let_deliver(state, deadline)
  local host = runtime.choose(state.options.runtime)
  local goal = state.endpoint:stats().outbox.accepted
  local last, since = nil, core.now()
  while true do
    run_due_unless_polled(state, host)
    local figures, now = state.endpoint:stats().outbox, core.now()
    local ended = figures.accepted - figures.pending
    if ended ~= last or not figures.failing then
      last, since = ended, now
    end
    local is_going_on = figures.deliverer and not figures.paused and now - since < STALLED
    if ended >= goal or not is_going_on or now >= deadline or not host.pause(GLANCE, state) then
      return
    end
  end
end

--- Half of the time is for what is pending in the outbox, the rest for what is on its way. A worker
-- of nginx that ends leaves it to the others, or to the next: nobody can be told any more of what
-- becomes of it.
local function leave_outbox(state, deadline)
  if not state.ended then
    local now = core.now()
    let_deliver(state, now + (deadline - now) / 2)
  end
  outbox.leave(state)
  return M.flush(state, deadline - core.now())
end

--- Closes once: a further call while that goes on returns at once, but for the last one, of a state
-- that is collected while the coroutine that closes it sleeps for ever.
function M.close(state, seconds, is_last)
  if state.finished or (state.closed and not is_last) then
    return true
  end
  state.closed = true
  local deadline = core.now() + (seconds or state.options.close_timeout)
  local done = M.flush(state, deadline - core.now())
  if done and state.options.outbox then
    done = leave_outbox(state, deadline)
  end
  if not done then
    state.cancelled = true -- what fails from here on is not sent again
    state.endpoint:cancel()
    M.flush(state, CANCELLED)
  end
  state.finished = true -- not before: a coroutine that closes may never be resumed
  state.signer:close()
  state.endpoint:close()
  return true
end

--- Closes one with an outbox without waiting: the core goes on with what is on its way. Not while a
-- call is under way.
---@return boolean done
function M.abandon(state)
  if state.finished or not state.options.outbox or engine.pending(state) > 0 then
    return false
  end
  state.closed, state.finished = true, true
  outbox.abandon(state)
  state.signer:close()
  state.endpoint:close(true)
  return true
end

return M
