--- Messages in conversations, what became of each, and what the sandbox saw of them.
local core = require "sendapi.core"
local engine = require "sendapi.engine"
local send_api = require "spec.support.send_api"

local traffic = {}

--- The parameters of a message. Always the same bytes for the same id and conversation.
function traffic.message(id, thread_id)
  return {
    id = tostring(id),
    thread_id = tostring(thread_id or "42"),
    author = { id = "666", created_at = 0, screenname = "John Doe" },
    body = "Awesome post !",
  }
end

---@class spec.Traffic what one client was asked to send
---@field sent string[]               the ids of the accepted calls, in order
---@field threads table<string, string> id -> conversation
---@field outcomes table<string, table> id -> list of outcomes: "ok" or an error
local Traffic = {}
Traffic.__index = Traffic

---@param client sendapi.Client
---@return spec.Traffic
function traffic.new(client)
  return setmetatable({ client = client, sent = {}, threads = {}, outcomes = {} }, Traffic)
end

--- Sends one message with a callback; gives what the call returned.
function Traffic:send(id, thread_id)
  local key = tostring(id)
  local ok, err = self.client.messages:create(traffic.message(id, thread_id), function(fine, why)
    local list = self.outcomes[key] or {}
    list[#list + 1] = fine and "ok" or why
    self.outcomes[key] = list
  end)
  if ok then
    self.sent[#self.sent + 1] = key
    self.threads[key] = tostring(thread_id or "42")
  end
  return ok, err
end

--- How many calls were delivered, and how many not; nil and an id when one has none or several
-- outcomes.
function Traffic:count()
  local delivered, other = 0, 0
  for _, id in ipairs(self.sent) do
    local list = self.outcomes[id] or {}
    if #list ~= 1 then
      return nil, ("%s has %d outcomes"):format(id, #list)
    end
    delivered = delivered + (list[1] == "ok" and 1 or 0)
    other = other + (list[1] == "ok" and 0 or 1)
  end
  return delivered, other
end

function Traffic:is_delivered(id)
  return (self.outcomes[id] or {})[1] == "ok"
end

--- Whether the client's figures add up.
function Traffic:adds_up()
  local stats = self.client:stats()
  return stats.accepted == stats.delivered + stats.refused + stats.failed + stats.pending
end

--- The id of a received request, also of one that the rules have not judged; nil when its body was
-- not read.
function traffic.id_of(entry)
  return entry.params and entry.params.id or entry.body:match '"id":"([^"]*)"'
end

-- Faults after which a client cannot know that the request was accepted.
traffic.losing = { drop = true, half = true, drip = true, delay = true }

---@class spec.Arrivals
---@field first string[]             every id once, in the order of first arrival
---@field accepted table<string, integer> id -> how often it was accepted
---@field unexplained string[]       ids that came again though their answer was not lost

--- What the journal says of the ids in it.
---@param entries sendapi.sandbox.Entry[]
---@return spec.Arrivals
function traffic.arrivals(entries)
  local arrivals = { first = {}, accepted = {}, unexplained = {} }
  local seen, answered = {}, {}
  for _, entry in ipairs(entries) do
    local id = traffic.id_of(entry)
    if id then
      if not seen[id] then
        arrivals.first[#arrivals.first + 1] = id
      elseif answered[id] then
        arrivals.unexplained[#arrivals.unexplained + 1] = id
      end
      seen[id] = true
      if entry.status == 200 then
        arrivals.accepted[id] = (arrivals.accepted[id] or 0) + 1
        answered[id] = answered[id] or not traffic.losing[entry.fault]
      end
    end
  end
  return arrivals
end

--- The first id that arrived out of order within its conversation, or nil. Ids are numbers that
-- grow in the order of the calls.
function Traffic:find_disorder(ids)
  local last = {}
  for _, id in ipairs(ids) do
    local thread = self.threads[id]
    if thread then
      if tonumber(id) <= (last[thread] or -1) then
        return id
      end
      last[thread] = tonumber(id)
    end
  end
  return nil
end

--- Waits a moment for answers, and runs callbacks; whether the figures add up then.
function Traffic:work()
  engine.get():wait(0.002)
  self.client:poll()
  return self:adds_up()
end

--- Polls until nothing is under way and every callback has run; at most some seconds. Checks the
-- figures at every turn.
---@return boolean done
---@return string? why not
function Traffic:finish(seconds)
  local deadline = core.now() + seconds
  while self.client:poll() > 0 or self.client:stats().pending > 0 do
    if not self:work() then
      return false, "the figures do not add up"
    elseif core.now() > deadline then
      return false, ("%d are still pending"):format(self.client:stats().pending)
    end
  end
  return true
end

--- Sources for the sandbox, all with the usual token: id -> plan of faults.
function traffic.sources(plans)
  local sources = {}
  for id, plan in pairs(plans) do
    sources[id] = { token = send_api.token }
    for name, value in pairs(plan) do
      sources[id][name] = value
    end
  end
  return sources
end

return traffic
