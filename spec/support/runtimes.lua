--- The ways in which a program waits: a program of each kind, a sandbox and clients of its sources.
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local clients = require "spec.support.clients"
local send_api = require "spec.support.send_api"

local TOKEN = send_api.token

local runtimes = {
  LATE = 0.2, -- seconds that the source "late" takes
  STUCK = 20, -- and "stuck"
  PATIENCE = 30, -- seconds to wait at most
}

local function optional(name)
  local found, library = pcall(require, name)
  return found and library or nil
end

local cqueues, uv = optional "cqueues", optional "luv"
runtimes.cqueues, runtimes.uv = cqueues, uv

--- A function for a coroutine: what it raises, which a loop would swallow, is in `raised`.
function runtimes.guarded(body)
  return function()
    local fine, text = xpcall(body, debug.traceback)
    if not fine then
      runtimes.raised[#runtimes.raised + 1] = text
    end
  end
end

--- Polls until a condition holds, as a game does, and sleeps a little between two ticks.
function runtimes.tick_until(polled, condition)
  local deadline = core.now() + runtimes.PATIENCE
  while not condition() do
    assert(core.now() < deadline, "it does not end")
    for _, client in ipairs(polled) do
      client:poll()
    end
    engine.get():wait(0.002)
  end
end

--- How a program of each kind looks: `spawn` begins a piece of work; `run` runs one, and what it
-- spawns, to the end.
runtimes.programs = {
  blocking = {
    has_library = true,
    waits_anywhere = true,
    overlaps = false,
    spawn = function(body)
      runtimes.guarded(body)()
    end,
    run = function(body, open)
      runtimes.guarded(body)()
      for _, client in ipairs(open) do
        assert(client:flush(runtimes.PATIENCE))
      end
    end,
  },
  tick = {
    has_library = true,
    overlaps = true,
    spawn = function(body)
      coroutine.wrap(runtimes.guarded(body))()
    end,
    run = function(body, open)
      local over = false
      coroutine.wrap(runtimes.guarded(function()
        body()
        over = true
      end))()
      runtimes.tick_until(open, function()
        return (over or runtimes.raised[1]) and not engine.is_busy()
      end)
    end,
  },
  cqueues = {
    has_library = cqueues ~= nil,
    overlaps = true,
    waits_in_callbacks = true,
    spawn = function(body)
      cqueues.running():wrap(runtimes.guarded(body))
    end,
    run = function(body)
      local loop = cqueues.new()
      loop:wrap(runtimes.guarded(body))
      assert(loop:loop())
    end,
  },
  luv = {
    has_library = uv ~= nil,
    overlaps = true,
    waits_in_callbacks = true,
    spawn = function(body)
      coroutine.wrap(runtimes.guarded(body))()
    end,
    run = function(body)
      coroutine.wrap(runtimes.guarded(body))()
      uv.run()
    end,
  },
}


local own = clients.of {
  plain = { token = TOKEN },
  wrong = { token = "another" },
  late = { token = TOKEN, fault = { kind = "delay", seconds = runtimes.LATE } },
  stuck = { token = TOKEN, fault = { kind = "delay", seconds = runtimes.STUCK } },
  busy = { token = TOKEN, fault = { kind = "status", status = 503, text = "Down" } },
}

-- For `setup` and `teardown`.
runtimes.start, runtimes.stop = own.start, own.stop

--- For `before_each`. What clients log is in `logged`.
function runtimes.begin()
  runtimes.logged, runtimes.raised = {}, {}
end

--- For `after_each`: whatever a test left is closed; what its coroutines raised fails it.
function runtimes.finish()
  own.close()
  assert(not runtimes.raised[1], runtimes.raised[1])
end

--- The clients of this test that are there.
function runtimes.clients()
  return own.list
end

--- Lets go of them.
function runtimes.forget_clients()
  own.list = {}
end

---@return string
function runtimes.base_url()
  return own.sandbox.http
end

function runtimes.new_client(source_id, options)
  options = options or {}
  options.log = options.log or function(level, text)
    runtimes.logged[#runtimes.logged + 1] = level .. ": " .. text
  end
  return own.new(source_id or "plain", options)
end

--- Whether a runtime's library is here; when not, the test shows as pending by that function.
function runtimes.is_here(name, pending)
  local is_here = runtimes.programs[name].has_library
  if not is_here then
    pending(name .. " is not installed")
  end
  return is_here
end

return runtimes
