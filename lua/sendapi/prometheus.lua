--- The figures of all clients of this Lua state in the text format that Prometheus scrapes.
local client = require "sendapi.client"

local M = {}

local COUNTERS = {
  { "accepted", "requests accepted" },
  { "delivered", "requests delivered" },
  { "stored", "requests stored in the outbox" },
  { "refused", "requests that the server refused" },
  { "failed", "requests that failed in any other way" },
  { "retries", "attempts after the first" },
  { "bytes", "bytes of the accepted requests" },
}

local GAUGES = {
  { "pending", "requests under way" },
  { "pending_bytes", "bytes of the requests under way" },
}

local OUTBOX_COUNTERS = {
  { "outbox_accepted", "messages that came into the outbox" },
  { "outbox_delivered", "messages of the outbox that were delivered" },
  { "outbox_discarded", "dead letters that were discarded" },
}

local OUTBOX_GAUGES = {
  { "outbox_dead", "dead letters" },
  { "outbox_pending", "messages in the outbox that wait for delivery" },
  { "outbox_oldest_age_seconds", "how long the oldest of them has been waiting" },
  { "outbox_paused", "1 while the outbox waits, for the source is at fault" },
}

local QUANTILES = { { "0.5", "p50" }, { "0.9", "p90" }, { "0.99", "p99" } }

--- All clients of an outbox have the same figures, of the source: the newest are shown.
local function keep_outbox(into, place, figures)
  into.outboxes = into.outboxes or {}
  local kept = into.outboxes[place]
  if not kept or kept.accepted < figures.accepted then
    into.outboxes[place] = figures
  end
end

--- One source may have several outboxes.
local function sum_outboxes(into)
  local sums = { accepted = 0, delivered = 0, discarded = 0, dead = 0, pending = 0 }
  local age, paused, now = 0, 0, os.time()
  for _, figures in pairs(into.outboxes) do
    for name in pairs(sums) do
      sums[name] = sums[name] + figures[name]
    end
    age = math.max(age, now - (figures.oldest or now))
    paused = figures.paused and 1 or paused
  end
  for name, sum in pairs(sums) do
    into["outbox_" .. name] = sum
  end
  into.outbox_oldest_age_seconds, into.outbox_paused = age, paused
end

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

--- The figures by source, the names of the sources, and of those that have an outbox.
local function collect()
  local by_source, names, stored = {}, {}, {}
  client.each(function(source_id, stats, place)
    local into = by_source[source_id]
    if not into then
      into = {}
      by_source[source_id] = into
      names[#names + 1] = source_id
    end
    merge(into, stats)
    if place then
      keep_outbox(into, place, stats.outbox)
    end
  end)
  table.sort(names)
  for _, name in ipairs(names) do
    if by_source[name].outboxes then
      sum_outboxes(by_source[name])
      stored[#stored + 1] = name
    end
  end
  return by_source, names, stored
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
  local by_source, names, stored = collect()
  local lines = {}
  write_metrics(lines, COUNTERS, "counter", "_total", by_source, names)
  write_metrics(lines, GAUGES, "gauge", "", by_source, names)
  if stored[1] then
    write_metrics(lines, OUTBOX_COUNTERS, "counter", "_total", by_source, stored)
    write_metrics(lines, OUTBOX_GAUGES, "gauge", "", by_source, stored)
  end
  write_latency(lines, by_source, names)
  return table.concat(lines, "\n") .. "\n"
end

return M
