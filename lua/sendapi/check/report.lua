--- What a conformance run found out; `tostring` of it is what a terminal shows.

---@class sendapi.CheckCase
---@field name string
---@field verdict "passed"|"failed"|"not applicable"
---@field sentence string|nil what to change, or why it is not applicable
---@field sent string|nil with a failed case: the request, cut short
---@field received string|nil the answer to it, cut short; never with the token

---@class sendapi.CheckReport
---@field cases sendapi.CheckCase[] in the order in which they ran
---@field passed integer
---@field failed integer
---@field not_applicable integer
---@field ok boolean whether none failed
local Report = {}
Report.__index = Report
Report.__name = "sendapi.CheckReport"

local M = {}

---@return sendapi.CheckReport
function M.new()
  local report = { cases = {}, passed = 0, failed = 0, not_applicable = 0, ok = true }
  return setmetatable(report, Report)
end

---@param report sendapi.CheckReport
---@param case sendapi.CheckCase
function M.add(report, case)
  local counter = case.verdict:gsub(" ", "_")
  report[counter] = report[counter] + 1
  report.ok = report.failed == 0
  report.cases[#report.cases + 1] = case
end

local WIDTH = #"not applicable" + 2

local function indented(label, text)
  return (" "):rep(WIDTH) .. label .. text
end

local function lines_of(lines, case)
  local verdict = case.verdict == "failed" and "FAILED" or case.verdict
  lines[#lines + 1] = verdict .. (" "):rep(WIDTH - #verdict) .. case.name
  if case.sentence then
    lines[#lines + 1] = indented("", case.sentence)
  end
  if case.sent then
    lines[#lines + 1] = indented("sent: ", case.sent)
  end
  if case.received then
    lines[#lines + 1] = indented("received: ", case.received)
  end
end

function Report:__tostring()
  local lines = {}
  for _, case in ipairs(self.cases) do
    lines_of(lines, case)
  end
  local counts = "%d passed, %d failed, %d not applicable"
  lines[#lines + 1] = counts:format(self.passed, self.failed, self.not_applicable)
  return table.concat(lines, "\n")
end

return M
