--- Chance that can be had again: the same numbers for the same SENDAPI_CRASH_SEED, under any Lua.
local CORE = package.searchpath and package.searchpath("sendapi.core", package.cpath) or ""

local chance = {}

--- How often programs are killed: as SENDAPI_CRASH_ROUNDS says; many times under Lua 5.4, a few
-- elsewhere, since it is the same C.
---@return integer
function chance.rounds()
  local is_main = CORE:find("/lua5.4/", 1, true) and not os.getenv "SENDAPI_SLOW"
  return tonumber(os.getenv "SENDAPI_CRASH_ROUNDS") or (is_main and 200 or 20)
end

---@class spec.Chance
---@field seed integer what it began with
---@operator call: number  at least 0, below 1

--- Begins with what the environment says, or with the time.
---@return spec.Chance
function chance.new()
  local seed = tonumber(os.getenv "SENDAPI_CRASH_SEED") or os.time() % 1000000007
  local state = seed % 2147483646 + 1
  return setmetatable({ seed = seed }, {
    __call = function()
      state = state * 16807 % 2147483647 -- below 2^46: exact in a double
      return state / 2147483647
    end,
  })
end

return chance
