--- A conformance run against any connector, over HTTP, whatever language it is written in.
--
--     print(sendapi.check("https://example.com/connector", token))
--
-- The cases stand in cases/, by theme; which of them apply follows from what the connector says it
-- implements. Whatever a connector does, it is the report that says so.
local answers = require "sendapi.check.cases.answers"
local change = require "sendapi.check.cases.change"
local collections = require "sendapi.collections"
local create = require "sendapi.check.cases.create"
local info = require "sendapi.check.cases.info"
local list = require "sendapi.check.cases.list"
local options_list = require "sendapi.options"
local reader = require "sendapi.check.reader"
local reports = require "sendapi.check.report"
local requests = require "sendapi.check.cases.requests"
local session_of = require "sendapi.check.session"
local show = require "sendapi.check.cases.show"
local signature = require "sendapi.check.cases.signature"
local waiting = require "sendapi.check.cases.waiting"

local M = {}

local KINDS = { "threads", "messages", "private_messages" }
local FIRST = "implementation.info: a signed request is answered"

---@class sendapi.CheckSettings
---@field since string|nil lists are read from after this id, not from their beginning
---@field timeout number|nil seconds for each request, 30
---@field ca_file string|nil PEM: authorities to trust instead of the system's
---@field create table|false|nil params for every create, such as a thread_id that there is; false:
---  nothing is written into the connector

---@class sendapi.check.Context
---@field session sendapi.check.Session
---@field settings sendapi.CheckSettings
---@field token string
---@field run_id string in every content_id: no other run has the same
---@field value table what implementation.info said; see reader.lua
---@field info sendapi.check.Info the same, with nothing missing
---@field listed table<string, sendapi.check.Listed>
---@field created table<string, { id: string, params: table }>

---@class sendapi.check.Theme
---@field operation string
---@field cases { [1]: string, [2]: fun(context: sendapi.check.Context, kind: string) }[]
---@field writes boolean|nil

--- Names that a connector made up cannot write to a terminal what they like.
local function printable(context, sentence)
  return (context.session:redact(sentence):gsub("[%z\1-\31\127]", "?"))
end

--- Runs one case and adds what it came to. `looks_at` is an exchange that went before.
local function run(context, name, case, kind, looks_at)
  local session = context.session
  session.last = looks_at
  local fine, raised = pcall(case, context, kind)
  if not fine and not session_of.is_end(raised) then
    error(raised, 0)
  end
  local entry = { name = printable(context, name), verdict = fine and "passed" or raised.verdict }
  if not fine then
    entry.sentence = printable(context, raised.sentence)
  end
  if entry.verdict == "failed" then
    entry.sent, entry.received = session:describe_last()
  end
  reports.add(context.report, entry)
  return fine
end

local function run_all(context, cases, looks_at)
  for _, case in ipairs(cases) do
    run(context, case.name, case.run, nil, looks_at)
  end
end

local function not_applicable(context, name, sentence)
  reports.add(context.report, {
    name = printable(context, name),
    verdict = "not applicable",
    sentence = sentence,
  })
end

--- The cases of one operation of one kind of object.
local function run_theme(context, kind, theme)
  local name = kind .. "." .. theme.operation
  if not collections.contains(context.info.objects[kind] or {}, theme.operation) then
    not_applicable(context, name, "implementation.info does not declare it.")
  elseif theme.writes and context.settings.create == false then
    not_applicable(context, name, "Nothing is to be written.")
  else
    for _, case in ipairs(theme.cases) do
      run(context, name .. ": " .. case[1], case[2], kind)
    end
  end
end

--- The kinds' lists come first: they say what there is before anything is created.
local function run_kinds(context)
  for _, theme in ipairs { list, create, show } do
    for _, kind in ipairs(KINDS) do
      run_theme(context, kind, theme)
    end
  end
  for _, kind in ipairs(KINDS) do
    for _, theme in ipairs(change.themes(context.info.objects[kind] or {})) do
      run_theme(context, kind, theme)
    end
  end
end

local function fetch_info(context)
  local value = context.session:ask_well "implementation.info"
  if not reader.is_object(value) then
    local sentence = 'Expected an object such as {"objects": {…}}, got %s.'
    session_of.fail(sentence, reader.describe(value))
  end
  context.value = value
  context.info = info.normalized(value)
end

local function run_everything(context)
  if not run(context, FIRST, fetch_info) then
    not_applicable(context, "everything else", "It takes an answer to implementation.info.")
    return
  end
  local first = context.session.last
  run_all(context, signature)
  run_all(context, info, first)
  run_all(context, requests)
  run_kinds(context)
  run_all(context, waiting)
  run_all(context, answers)
end

-- What settings there are, and of what type.
local setting_types = {
  since = { "string" },
  timeout = { "number" },
  ca_file = { "string" },
  create = { "table", "boolean" },
}
local setting_names = { "ca_file", "create", "since", "timeout" }

local function complaint_of_setting(name, value)
  local types = setting_types[name]
  if not types then
    local near = options_list.suggestion(name, setting_names)
    return ("there is no setting '%s'%s"):format(options_list.printable(name), near)
  elseif not collections.contains(types, type(value)) then
    return ("%s: expected a %s, got a %s"):format(name, types[1], type(value))
  elseif name == "timeout" and not (value > 0 and value < 1e9) then
    return "timeout: expected seconds, above 0"
  elseif value == true then
    return "create: expected params, or false"
  end
end

local function complaint(url, token, settings)
  if type(url) ~= "string" or not url:lower():find "^https?://[^%s%c]+$" then
    return "url: expected something like https://example.com/connector"
  elseif type(token) ~= "string" or token == "" then
    return "token: expected the source's access token"
  elseif settings ~= nil and type(settings) ~= "table" then
    return ("settings: expected a table, got a %s"):format(type(settings))
  end
  for name, value in pairs(settings or {}) do
    local message = complaint_of_setting(name, value)
    if message then
      return message
    end
  end
end

--- Asks a connector all that Engage Digital may ask of it, and reports what is wrong. It blocks.
--
-- Contents are created, changed and deleted unless `create = false`; what was there before is only
-- read. Raises, at the caller's line, when an argument is wrong; never for what a connector does.
---@param url string where Engage Digital would post to: http or https
---@param token string the source's access token; never in the report
---@param settings sendapi.CheckSettings|nil
---@param level integer|nil whose line a wrong argument is told at: as for `error`, 2
---@return sendapi.CheckReport
function M.run(url, token, settings, level)
  local message = complaint(url, token, settings)
  if message then
    error("sendapi.check: " .. message, level or 2)
  end
  settings = settings or {}
  local session = session_of.new(url, token, settings)
  local context = {
    session = session,
    settings = settings,
    token = token,
    run_id = ("check-%s"):format(session:sign(tostring(os.time()) .. tostring({})):sub(1, 16)),
    report = reports.new(),
    listed = {},
    created = {},
  }
  run_everything(context)
  session:close()
  return context.report
end

return M
