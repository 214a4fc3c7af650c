--- What may be given to `sendapi.sandbox`, and what the sandbox's host makes of it.
local connector_options = require "sendapi.connector.options"
local host = require "sendapi.sandbox.host"
local options_list = require "sendapi.options"
local source_settings = require "sendapi.sandbox.settings"

local M = {}

-- What a source takes, and a sandbox with one source beside what else it takes.
local SOURCE = {
  token = "string",
  name = "string",
  options = "table",
  actions = "table",
  connector = "string",
  interval = "number",
  fault = "table",
  faults = "table",
  seed = "number",
}

local SANDBOX = {
  sources = "table",
  id = "string",
  port = "number",
  https_port = "number",
  host = "string",
  open = "boolean",
  log = "string",
  nginx = "string",
}

-- What the sandbox as a whole takes of the same name, for all its sources.
local COMMON = { fault = true, faults = true, seed = true }

local ENOUGH = { "view.messaging" } -- for structured contents

for name, kind in pairs(SOURCE) do
  SANDBOX[name] = kind
end

local function names_of(known)
  local names = {}
  for name in pairs(known) do
    names[#names + 1] = name
  end
  table.sort(names)
  return names
end

--- What is wrong with the names and types, or nil.
local function problem_of_types(given, known)
  for name, value in pairs(given) do
    local expected = known[name]
    if not expected then
      local near = options_list.suggestion(name, names_of(known))
      return ("there is no option '%s'%s"):format(options_list.printable(name), near)
    elseif type(value) ~= expected then
      return ("%s: expected a %s, got a %s"):format(name, expected, type(value))
    end
  end
  return nil
end

local function problem_of_port(port, name)
  if port ~= nil and not (port % 1 == 0 and port >= 0 and port <= 65535) then
    return ("%s: expected a number from 0 (a free one) to 65535"):format(name)
  end
end

local function problem_of_source(source)
  if source.token == "" then
    return "token: it is empty"
  elseif source.connector and not source_settings.url(source.connector) then
    return "connector: expected something like http://127.0.0.1:3000/connector"
  elseif source.interval and not (source.interval >= 0 and source.interval < 1e9) then
    return "interval: expected seconds; 0: none"
  end
  return source.options and connector_options.complaint_of_names(source.options)
end

local function problem_of_sources(sources)
  if next(sources) == nil then
    return "sources: there is none in it"
  end
  for id, source in pairs(sources) do
    local name = options_list.printable(id)
    if type(id) ~= "string" or source_settings.problem_of_id(id) then
      return ("sources: '%s' is no id: expected letters, digits, _ and -"):format(name)
    elseif type(source) ~= "table" then
      return ("source '%s': expected a table, got a %s"):format(name, type(source))
    end
    local problem = problem_of_types(source, SOURCE) or problem_of_source(source)
    if problem then
      return ("source '%s': %s"):format(name, problem)
    end
  end
  return nil
end

--- It is either `sources`, or what there is to say of the only one.
local function problem_of_both(given)
  for _, name in ipairs { "id", "token", "name", "options", "actions", "connector", "interval" } do
    if given.sources and given[name] ~= nil then
      return ("'%s' is for a sandbox without 'sources': say it there"):format(name)
    end
  end
end

--- Hexadecimal digits of so many bytes by chance.
local function random_hex(bytes)
  local file = assert(io.open("/dev/urandom", "rb"))
  file:setvbuf "no"
  local hex = file:read(bytes):gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end)
  file:close()
  return hex
end

--- The only source, under its id.
local function only_source(given)
  local source = {}
  for name in pairs(SOURCE) do
    source[name] = not COMMON[name] and given[name] or nil
  end
  return { [given.id or random_hex(10)] = source }
end

local function completed(source)
  local copy = {}
  for name, value in pairs(source) do
    copy[name] = value
  end
  copy.token = copy.token or random_hex(32)
  copy.options = copy.options or ENOUGH
  return copy
end

local function port_of(number)
  return number ~= 0 and number or nil
end

--- What the host takes (`sendapi.sandbox.Options`), or nil and what is wrong.
---@param given any
---@return sendapi.sandbox.Options|nil
---@return string|nil problem
function M.read(given)
  if type(given) ~= "table" then
    return nil, ("expected a table of options, got a %s"):format(type(given))
  end
  local problem = problem_of_types(given, SANDBOX)
    or problem_of_port(given.port, "port")
    or problem_of_port(given.https_port, "https_port")
    or problem_of_both(given)
  local sources = not problem and (given.sources or only_source(given))
  problem = problem or problem_of_sources(sources)
  if problem then
    return nil, problem
  end
  local settings = { sources = {} }
  for id, source in pairs(sources) do
    settings.sources[id] = completed(source)
  end
  for _, name in ipairs { "fault", "faults", "seed", "host", "open", "log", "nginx" } do
    settings[name] = given[name]
  end
  settings.http, settings.https = port_of(given.port), port_of(given.https_port)
  problem = host.problem(settings)
  if problem then
    return nil, problem
  end
  return settings
end

return M
