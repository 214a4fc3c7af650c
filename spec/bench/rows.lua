--- What is measured against what (harness.lua says what a row is).
local connector = require "spec.bench.rows.connector"
local delivery = require "spec.bench.rows.delivery"
local encode = require "spec.bench.rows.encode"
local gateway_rows = require "spec.bench.rows.gateway"
local memory = require "spec.bench.rows.memory"
local outbox = require "spec.bench.rows.outbox"

--- Those that can be measured here: a group has false in the place of one that cannot.
local function gather(groups)
  local rows = {}
  for _, group in ipairs(groups) do
    for _, row in ipairs(group) do
      rows[#rows + 1] = row or nil
    end
  end
  return rows
end

---@param url string of a source whose server answers at once
---@param gateway string|nil the gateway's address
---@param redis string|nil   the path of a Redis server's socket
---@return spec.bench.Row[]
return function(url, gateway, redis)
  gateway = gateway or false
  return gather {
    encode(url),
    connector(),
    delivery(url, gateway),
    memory(url, gateway),
    gateway_rows(gateway),
    outbox(url, gateway, redis),
  }
end
