--- Which fault a request meets, if any. Pure: no clock, no chance and no network of its own.
--
-- Three things decide, the first that has a say:
--
--   the request   an id (`params.id`, or `params.thread_id` where there is none) that ends in
--                 `__<fault>`, as `plan.of_id` reads it
--   the sandbox   its plan, given at the start or changed by `Host:fault`
--   the source    its plan
--
-- A plan is a table with `fault`, which every request meets; or with `faults`, a list of faults
-- with a `probability` each, of which a request meets one or none. What it meets hangs on `seed`
-- (0), on its signature, and on how often a request with this signature came before: the same
-- messages meet the same faults in every run, whatever the order in which they arrive.
--
-- A fault with `times` happens to so many requests, and to no further one.
local cjson = require "cjson"
local faults = require "sendapi.sandbox.faults"

local plan = {}

---@class sendapi.sandbox.PlanDescription
---@field fault? table
---@field faults? table[]
---@field seed? integer

---@class sendapi.sandbox.Plan
---@field private fault? table
---@field private faults? table[]
---@field private seed integer
---@field private met table<table, integer>
---@field private seen table see `count_bounded`
local Plan = {}
Plan.__index = Plan

--- Counts one more of `key`; the count.
local function count(counts, key)
  counts[key] = (counts[key] or 0) + 1
  return counts[key]
end

local MOST_COUNTED = 50000 -- keys in each of two generations

--- The same for keys that strangers make up. Of more than so many, those that were not counted for
-- long are forgotten. `counts` begins as an empty table.
local function count_bounded(counts, key)
  counts.new, counts.old, counts.size = counts.new or {}, counts.old or {}, counts.size or 0
  if not counts.new[key] then
    if counts.size >= MOST_COUNTED then
      counts.new, counts.old, counts.size = {}, counts.new, 0
    end
    counts.new[key], counts.size = counts.old[key], counts.size + 1
  end
  return count(counts.new, key)
end

--- Makes a plan; nil when the description holds no fault.
---@param given sendapi.sandbox.PlanDescription
---@return sendapi.sandbox.Plan|nil
function plan.new(given)
  if not (given.fault or given.faults) then
    return nil
  end
  return setmetatable({
    fault = given.fault,
    faults = given.faults,
    seed = given.seed or 0,
    met = {},
    seen = {},
  }, Plan)
end

local function pick(list, share)
  for _, fault in ipairs(list) do
    share = share - fault.probability
    if share < 0 then
      return fault
    end
  end
  return nil
end

--- The fault that the next request with this signature meets.
---@param signature string
---@param chance fun(text: string): number  from 0 to below 1, always the same for the same text
---@return table|nil fault
function Plan:choose(signature, chance)
  local fault = self.fault
  if not fault then
    local times = count_bounded(self.seen, signature)
    fault = pick(self.faults, chance(("%d %d %s"):format(self.seed, times, signature)))
  end
  if fault and fault.times and count(self.met, fault) > fault.times then
    return nil
  end
  return fault
end

-- What stands behind the kind in an id, by kind: fault and argument -> nothing.
local arguments = {
  delay = function(fault, argument)
    fault.seconds = tonumber(argument) or 1
  end,
  drip = function(fault, argument)
    fault.seconds = tonumber(argument)
  end,
  drop = function(fault, argument)
    fault.reset = argument == "reset" or nil
  end,
  half = function(fault, argument)
    fault.reset = argument == "reset" or nil
  end,
  flood = function(fault, argument)
    fault.bytes = tonumber(argument)
  end,
  redirect = function(fault)
    fault.to = "/elsewhere"
  end,
}

local function of_status(status, sign, argument)
  local fault = { kind = "status", status = tonumber(status) }
  if sign == "@" then
    fault.retry_after_date = tonumber(argument)
  elseif sign == "=" then
    fault.retry_after = tonumber(argument)
  end
  return fault
end

--- Reads the end of an id, from its last two underscores on:
--
--   __503         that status; any of 200 to 599
--   __429=2       with `Retry-After: 2`
--   __429@2       with `Retry-After` as a date in two seconds
--   __drop        that kind of fault (see `sendapi.sandbox.faults`), but for `status`
--   __delay=0.5   with these `seconds`; without, 1. In the same way __drip, and __flood for `bytes`
--   __half=reset  ended by a reset; in the same way __drop
--   __503*2       any of them with `*` and the `times` that it happens to the same id
--
-- An id that ends in anything else means nothing.
---@param id string
---@return table|nil fault
function plan.of_id(id)
  local name, sign, argument, times = id:match "__(%w+)([=@]?)([%w.]*)%*?(%d*)$"
  local fault
  if name and name:find "^[2-5]%d%d$" then
    fault = of_status(name, sign, argument)
  elseif name and name ~= "status" and faults.kinds[name] then
    fault = { kind = name }
    local take = arguments[name]
    if take then
      take(fault, argument)
    end
  end
  if fault then
    fault.times = tonumber(times)
  end
  return fault
end

local function find_id(body)
  local is_decoded, request = pcall(cjson.decode, body)
  local params = is_decoded and type(request) == "table" and request.params
  if type(params) ~= "table" then
    return nil
  end
  local id = params.id
  if id == nil then
    id = params.thread_id
  end
  return type(id) == "string" and id or nil
end

--- The fault that a request asks for by its id.
---@param body string
---@param met table how often ids came, kept here for faults with `times`; empty at first
---@return table|nil fault
function plan.of_request(body, met)
  local id = body:find("__", 1, true) and find_id(body)
  local fault = id and plan.of_id(id)
  if fault and fault.times and count_bounded(met, id) > fault.times then
    return nil
  end
  return fault or nil
end

local function problem_of_list(list)
  if type(list) ~= "table" or (next(list) ~= nil and list[1] == nil) then
    return "faults must be a list"
  end
  local sum = 0
  for _, fault in ipairs(list) do
    local problem = faults.problem(fault)
    if problem then
      return problem
    elseif type(fault.probability) ~= "number" or fault.probability < 0 then
      return ("the fault %q needs a probability among others"):format(fault.kind)
    end
    sum = sum + fault.probability
  end
  return sum > 1.000001 and "the probabilities of the faults exceed 1" or nil
end

--- Checks a description before it is used.
---@param given table
---@return string|nil problem
function plan.problem(given)
  if given.seed ~= nil and (type(given.seed) ~= "number" or given.seed % 1 ~= 0) then
    return "the seed must be an integer"
  elseif given.fault ~= nil and given.faults ~= nil then
    return "it is either a fault, or faults with probabilities"
  elseif given.fault ~= nil then
    return faults.problem(given.fault)
  end
  return given.faults ~= nil and problem_of_list(given.faults) or nil
end

return plan
