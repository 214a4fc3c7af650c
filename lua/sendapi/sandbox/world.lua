-- luacheck: std ngx_lua
--- What the sandbox's one worker knows: sources, plans of faults, conversations and exchanges.
local agents = require "sendapi.sandbox.agents"
local cjson = require "cjson"
local events = require "sendapi.sandbox.events"
local exchanges = require "sendapi.sandbox.exchanges"
local plan = require "sendapi.sandbox.plan"
local rules = require "sendapi.sandbox.rules"
local state = require "sendapi.sandbox.state"

local PLAN, CHANGED_PLAN = "plan.json", "plan.changed"
local SOURCES, SETTINGS, TOKEN = "sources.json", "screen.json", "token"

---@class sendapi.sandbox.World
---@field sources table<string, sendapi.sandbox.Source> as the rules see them
---@field settings { open: boolean|nil, host: string|nil }
---@field token string that changes of the screen need
---@field events sendapi.sandbox.Events
---@field state sendapi.sandbox.State
---@field wire sendapi.sandbox.Exchanges
---@field agents sendapi.sandbox.Agents
local world = {}

local directory
local common_plan -- for all sources; nil: each has its own, or none
local common_faults = {} -- the description of that
local source_plans = {}

local function read_file(path)
  local file, message = io.open(directory .. path, "rb")
  if not file then
    return nil, message
  end
  local content = file:read "*a"
  file:close()
  return content
end

--- Whole or not at all.
local function write_file(path, content)
  local file = assert(io.open(directory .. path .. ".writing", "wb"))
  assert(file:write(content))
  assert(file:close())
  assert(os.rename(directory .. path .. ".writing", directory .. path))
end

-- Faults ----------------------------------------------------------------------

local function faults_data()
  return common_faults
end

local function use_plan(description)
  common_plan, common_faults = plan.new(description), description
  world.events:add("faults", faults_data)
end

--- Takes up what the owner has changed of the plan since the last request: a file that stands ready
-- under a name of its own, and is taken by renaming it. A mere look costs one call of the system.
function world.take_plan()
  if os.rename(directory .. CHANGED_PLAN, directory .. PLAN) then
    use_plan(cjson.decode(read_file(PLAN)))
  end
end

--- Changes what happens to the requests of all sources.
---@param description sendapi.sandbox.PlanDescription that was found to be right
function world.set_plan(description)
  os.remove(directory .. CHANGED_PLAN)
  write_file(PLAN, cjson.encode(description))
  use_plan(description)
end

--- The faults that are on for all sources, as they were given.
function world.faults()
  world.take_plan()
  return common_faults
end

--- The plan that counts for a source, or nil.
---@return sendapi.sandbox.Plan|nil
function world.plan_of(id)
  return common_plan or source_plans[id]
end

local function load_plans()
  for id, source in pairs(world.sources) do
    source_plans[id] = plan.new(source)
  end
  local text = read_file(PLAN)
  if text then
    common_faults = cjson.decode(text)
    common_plan = plan.new(common_faults)
  end
end

-- Sources ---------------------------------------------------------------------

--- Tokens by source.
function world.tokens()
  local tokens = {}
  for id, source in pairs(world.sources) do
    tokens[id] = source.token
  end
  return tokens
end

local OF_THE_RULES = { "token", "actions", "fault", "faults", "seed" }
local OF_THE_SCREEN = { "name", "options", "connector", "interval" }

--- Writes the sources down, for an nginx that is started again.
local function write_sources()
  local saved = {}
  for id, source in pairs(world.sources) do
    local one = {}
    for _, name in ipairs(OF_THE_RULES) do
      one[name] = source[name]
    end
    for _, name in ipairs(OF_THE_SCREEN) do
      one[name] = world.state.sources[id][name]
    end
    saved[id] = one
  end
  write_file(SOURCES, cjson.encode(saved))
end

local function shown(id, given)
  local connector = given.connector ~= "" and given.connector or cjson.null
  return {
    name = given.name or id,
    options = given.options or cjson.null,
    actions = given.actions or cjson.null,
    connector = connector,
    interval = agents.interval(given.interval),
  }
end

--- Changes a source, or adds one with a token.
---@param id string
---@param given table settings that were found to be right
function world.save_source(id, given)
  local source = world.sources[id] or {}
  local known = world.state.sources[id]
  local before = known and known.connector
  world.sources[id] = source
  local changes = {}
  for name, value in pairs(given) do
    if name == "connector" and value == "" then
      value = cjson.null
    end
    changes[name] = value
    if name == "token" or name == "actions" then
      source[name] = value ~= cjson.null and value or nil
    end
  end
  changes.token = nil
  if not known or given.interval == cjson.null then
    changes.interval = agents.interval(type(given.interval) == "number" and given.interval or nil)
  end
  world.state:source(id, changes)
  source.options = world.state:options(id)
  write_sources()
  world.agents:saved(id, before ~= world.state.sources[id].connector)
end

local function load_sources()
  world.sources = cjson.decode(assert(read_file(SOURCES)))
  for id, source in pairs(world.sources) do
    world.state:source(id, shown(id, source))
  end
end

-- Exchanges -------------------------------------------------------------------

--- Keeps an exchange, and tells of it.
---@param recorded table
---@return sendapi.sandbox.Recorded
function world.record(recorded)
  world.wire:add(recorded)
  world.events:add("wire", exchanges.view, recorded)
  return recorded
end

--- Tells of what was kept before: it has an answer by now.
function world.record_answer(recorded, changes)
  world.wire:change(recorded, changes)
  world.events:add("wire", exchanges.view, recorded)
end

-- The beginning ------------------------------------------------------------------

local function random_token()
  local file = assert(io.open("/dev/urandom", "rb"))
  file:setvbuf "no"
  local bytes = file:read(24)
  file:close()
  return (bytes:gsub(".", function(byte)
    return ("%02x"):format(byte:byte())
  end))
end

local function load_token()
  world.token = read_file(TOKEN)
  if not world.token then
    world.token = random_token()
    write_file(TOKEN, world.token)
  end
end

--- Reads what the sandbox's directory holds. To be called in `init_by_lua`, where an error keeps
-- nginx from starting.
---@param path string the directory
function world.load(path)
  directory = path
  world.events = events.new()
  world.state = state.new { events = world.events }
  world.wire = exchanges.new()
  world.settings = cjson.decode(read_file(SETTINGS) or "{}")
  load_token()
  load_sources()
  load_plans()
  world.agents = agents.new(world)
end

--- What has to be done every second.
function world.tick()
  local now = ngx.now()
  world.state:expire(now)
  for _, source in pairs(world.sources) do
    rules.tidy(source, now)
  end
  world.agents:tick(now)
end

--- Forgets what was received.
function world.clear()
  world.state:clear()
  world.wire:clear()
  for _, source in pairs(world.sources) do
    source.typing = nil
  end
end

return world
