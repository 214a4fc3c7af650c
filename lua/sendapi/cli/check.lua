--- `sendapi check`: the conformance run against a connector.
local checks = require "sendapi.check"
local cjson = require "cjson"
local input = require "sendapi.cli.input"
local json = require "sendapi.json"

local M = { name = "check" }

function M.describe(command)
  command:summary "Ask a connector all that Engage Digital may ask of it."
  command:description [[
Asks a connector, in whatever language it is written, all that Engage Digital may ask of it, and
says what to change. It writes into the connector unless told otherwise.]]
  command:argument("url", "Where Engage Digital would post to."):argname "URL"
  command:option("--token-file", "File that holds the token; SENDAPI_TOKEN by default.")
    :argname "FILE"
  command:option("--since", "Read lists from after this id only."):argname "ID"
  command:option("--timeout", "For each request, 30."):argname("SECONDS"):convert(input.number)
  command:option("--ca-file", "Authorities to trust, PEM, instead of the system's."):argname "FILE"
  command:mutex(
    command:option("--create", "Params for every create."):argname "JSON",
    command:flag("--read-only", "Create, change and delete nothing.")
  )
  command:flag("--json", "Write the report as JSON.")
end

--- The settings of `sendapi.check`, or nil and what is wrong.
local function settings_of(given)
  local create
  if given.read_only then
    create = false
  elseif given.create then
    local is_json, value = json.decode(given.create)
    if not is_json or json.type(value) ~= "object" then
      return nil, "--create: expected a JSON object" .. (is_json and "" or ": " .. value)
    end
    create = value
  end
  return {
    since = given.since,
    timeout = given.timeout,
    ca_file = given.ca_file,
    create = create,
  }
end

local function show(report, is_json)
  if not is_json then
    print(report)
    return
  end
  print(cjson.encode {
    ok = report.ok,
    passed = report.passed,
    failed = report.failed,
    not_applicable = report.not_applicable,
    cases = report.cases,
  })
end

function M.run(given)
  local token, message = input.token(given.token_file)
  local settings
  if token then
    settings, message = settings_of(given)
  end
  if not settings then
    return 2, message
  end
  local is_run, report = pcall(checks.run, given.url, token, settings, 0)
  if not is_run then
    local complaint = tostring(report):match "^sendapi%.check: (.*)$"
    return complaint and 2 or 1, complaint or tostring(report)
  end
  show(report, given.json)
  return report.ok and 0 or 1
end

return M
