--- Measures a product and its floor in turn, and judges the ratio of their medians by a budget.
local harness = {}

---@class spec.bench.Row
---@field name string          plain text, without quotes: like the unit
---@field unit string
---@field better "lower"|"higher"
---@field budget number|nil     what value ÷ floor may be at most (`lower`) or at least (`higher`);
---                             nil: it is only told
---@field extra number|nil      what the value may have beyond that, in its own unit; with `lower`
---@field rounds integer        how often both are measured
---@field floor fun(): number   measures once
---@field product fun(): number measures once

---@class spec.bench.Result
---@field row spec.bench.Row
---@field floor number   the median of its rounds
---@field value number   the median of the product's
---@field ratio number   value ÷ floor
---@field lowest number  the lowest ratio of one round, and the highest: how steady the machine was
---@field highest number
---@field holds boolean|nil   nil: there is no budget

---@param numbers number[] not empty; left as they are
---@return number
function harness.median(numbers)
  local sorted = { (table.unpack or unpack)(numbers) }
  table.sort(sorted)
  local middle = #sorted / 2
  return (sorted[math.ceil(middle)] + sorted[math.floor(middle) + 1]) / 2
end

local function holds(row, floor, value)
  if not row.budget then
    return nil
  elseif row.better == "lower" then
    return value <= row.budget * floor + (row.extra or 0)
  end
  return value >= row.budget * floor
end

--- Floor, product, floor, product, …: whatever else the machine does falls on both alike.
---@param row spec.bench.Row
---@return spec.bench.Result
function harness.measure(row)
  local floors, values, ratios = {}, {}, {}
  for round = 1, row.rounds do
    floors[round] = row.floor()
    values[round] = row.product()
    ratios[round] = values[round] / floors[round]
  end
  local floor, value = harness.median(floors), harness.median(values)
  table.sort(ratios)
  return {
    row = row,
    floor = floor,
    value = value,
    ratio = value / floor,
    lowest = ratios[1],
    highest = ratios[#ratios],
    holds = holds(row, floor, value),
  }
end

local line = "%-42s %10s %10s %-5s %6s %13s %12s  %s"

local function budget_of(row)
  if not row.budget then
    return "none"
  end
  local text = (row.better == "lower" and "<= %.2f" or ">= %.2f"):format(row.budget)
  return row.extra and ("%s + %.0f"):format(text, row.extra) or text
end

local function verdict(result)
  if result.holds == nil then
    return "only told"
  end
  return result.holds and "holds" or "DOES NOT HOLD"
end

--- One line of the table; without a result its headings.
---@param result spec.bench.Result|nil
---@return string
function harness.line(result)
  if not result then
    return line:format("name", "floor", "value", "unit", "ratio", "by round", "budget", "holds")
  end
  local row = result.row
  return line:format(
    row.name,
    ("%.0f"):format(result.floor),
    ("%.0f"):format(result.value),
    row.unit,
    ("%.3f"):format(result.ratio),
    ("%.2f to %.2f"):format(result.lowest, result.highest),
    budget_of(row),
    verdict(result)
  )
end

local object = '  {"name":"%s","unit":"%s","value":%.1f,"floor":%.1f,"ratio":%.4f,'
  .. '"budget":%s,"extra":%.1f,"holds":%s}'

local function or_null(value)
  return value == nil and "null" or tostring(value)
end

--- The results as a JSON array, one line each.
---@param results spec.bench.Result[]
---@return string
function harness.json(results)
  local lines = {}
  for i, result in ipairs(results) do
    local row = result.row
    lines[i] = object:format(
      row.name,
      row.unit,
      result.value,
      result.floor,
      result.ratio,
      or_null(row.budget),
      row.extra or 0,
      or_null(result.holds)
    )
  end
  return "[\n" .. table.concat(lines, ",\n") .. "\n]\n"
end

return harness
