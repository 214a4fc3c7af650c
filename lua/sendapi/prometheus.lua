--- The figures of all clients of this Lua state in the text format that Prometheus scrapes.
local client = require "sendapi.client"

local M = {}

local COUNTERS = {
  { "accepted", "requests accepted" },
  { "delivered", "requests delivered" },
  { "refused", "requests that the server refused" },
  { "failed", "requests that failed in any other way" },
  { "retries", "attempts after the first" },
  { "bytes", "bytes of the accepted requests" },
}

local GAUGES = {
  { "pending", "requests under way" },
  { "pending_bytes", "bytes of the requests under way" },
}

local QUANTILES = { { "0.5", "p50" }, { "0.9", "p90" }, { "0.99", "p99" } }

--- Two clients of one source count together; of their quantiles the larger one is shown.
local function merge(into, stats)
  for _, list in ipairs { COUNTERS, GAUGES } do
    for _, row in ipairs(list) do
      into[row[1]] = (into[row[1]] or 0) + stats[row[1]]
    end
  end
  into.count = (into.count or 0) + stats.latency.count
  into.sum = (into.sum or 0) + stats.latency.sum
  for _, quantile in ipairs(QUANTILES) do
    into[quantile[2]] = math.max(into[quantile[2]] or 0, stats.latency[quantile[2]])
  end
end

local function collect()
  local by_source, names = {}, {}
  client.each(function(source_id, stats)
    if not by_source[source_id] then
      by_source[source_id] = {}
      names[#names + 1] = source_id
    end
    merge(by_source[source_id], stats)
  end)
  table.sort(names)
  return by_source, names
end

local function label(source_id)
  return (source_id:gsub('[\\"\n]', { ["\\"] = "\\\\", ['"'] = '\\"', ["\n"] = "\\n" }))
end

local function number(value)
  return value % 1 == 0 and ("%d"):format(value) or ("%.6g"):format(value)
end

local function write_metrics(lines, rows, kind, suffix, by_source, names)
  for _, row in ipairs(rows) do
    local name = "sendapi_" .. row[1] .. suffix
    lines[#lines + 1] = ("# HELP %s %s"):format(name, row[2])
    lines[#lines + 1] = ("# TYPE %s %s"):format(name, kind)
    for _, source_id in ipairs(names) do
      lines[#lines + 1] = ('%s{source="%s"} %s'):format(
        name,
        label(source_id),
        number(by_source[source_id][row[1]])
      )
    end
  end
end

local function write_latency(lines, by_source, names)
  local name = "sendapi_latency_seconds"
  lines[#lines + 1] = "# HELP " .. name .. " from the call to the answer, of what was delivered"
  lines[#lines + 1] = "# TYPE " .. name .. " summary"
  for _, source_id in ipairs(names) do
    local figures, source = by_source[source_id], label(source_id)
    for _, quantile in ipairs(QUANTILES) do
      lines[#lines + 1] = ('%s{source="%s",quantile="%s"} %s'):format(
        name,
        source,
        quantile[1],
        number(figures[quantile[2]])
      )
    end
    lines[#lines + 1] = ('%s_sum{source="%s"} %s'):format(name, source, number(figures.sum))
    lines[#lines + 1] = ('%s_count{source="%s"} %s'):format(name, source, number(figures.count))
  end
end

--- See `sendapi.prometheus`.
---@return string
function M.text()
  local by_source, names = collect()
  local lines = {}
  write_metrics(lines, COUNTERS, "counter", "_total", by_source, names)
  write_metrics(lines, GAUGES, "gauge", "", by_source, names)
  write_latency(lines, by_source, names)
  return table.concat(lines, "\n") .. "\n"
end

return M
