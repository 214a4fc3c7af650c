--- How soon a deliverer in another process sends what this one has stored.
local core = require "sendapi.core"
local host = require "sendapi.sandbox.host"
local journal = require "sendapi.sandbox.journal"
local traffic = require "spec.support.traffic"

local PATIENCE = 20 -- seconds for one message
local LOOKS_EVERY = 0.0005 -- seconds

local promptness = {}

--- Seconds from the confirmation to the record of the sandbox, which shall be empty: ascending. The
-- client must not be the one that delivers.
---@param client sendapi.Client
---@param sandbox sendapi.sandbox.Host
---@param count integer messages, one at a time
---@return number[]
function promptness.measure(client, sandbox, count)
  local record = journal.open(sandbox.directory .. host.journal_name)
  local times = {}
  for i = 1, count do
    assert(client.messages:create(traffic.message(i, i)))
    local confirmed = core.now()
    while record:read() == "" do
      assert(core.now() - confirmed < PATIENCE, "nothing came")
      core.sleep(LOOKS_EVERY)
    end
    times[i] = core.now() - confirmed
    core.sleep(i * 7 % 41 / 1000) -- at another moment between two looks of the deliverer's
  end
  table.sort(times)
  return times
end

return promptness
