--- Chance that can be had again: the same numbers for the same SENDAPI_CRASH_SEED, under any Lua.
local chance = {}

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
