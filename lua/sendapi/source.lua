--- Both directions of one source, so that its token, its options and what relaxes the schema are
-- said once.
local client = require "sendapi.client"
local connector = require "sendapi.connector"
local connector_options = require "sendapi.connector.options"
local options = require "sendapi.options"

local M = {}

-- What a source keeps to itself: its tokens are in no dump of it.
local private = setmetatable({}, { __mode = "k" })

---@class sendapi.Source
local Source = {}
Source.__index = Source
Source.__name = "sendapi.Source"

-- What both the client and the connector take.
local SHARED = { "extra_fields", "log" }

local function copy_of(given)
  local copy = {}
  for name, value in pairs(given) do
    copy[name] = value
  end
  return copy
end

--- Parts what is given into the source's own and the client's options.
local function split(given)
  local client_options = copy_of(given)
  client_options.id, client_options.token, client_options.options = nil, nil, nil
  return { id = given.id, token = given.token, options = given.options or {} }, client_options
end

local function complaint(given)
  if type(given) ~= "table" then
    return ("expected a table, got a %s"):format(type(given))
  elseif type(given.id) ~= "string" or given.id == "" then
    return "id: expected the source's id, a string that is not empty"
  elseif not connector.tokens(given.token) then
    return connector.EXPECTED_TOKEN
  elseif given.source_options ~= nil then
    return "option 'source_options': here they are called 'options'"
  end
  return connector_options.complaint_of_names(given.options or {})
end

--- A source of Engage Digital. Raises at the caller's line when something is wrong.
--
--     local source = sendapi.source { id = "8da5…", token = "56e7…", domain = "acme",
--       options = { "view.messaging", "messages.text" } }
--     local client, connector = source:client(), source:connector { messages = { … } }
---@param given sendapi.SourceOptions
---@return sendapi.Source
function M.new(given)
  local message = complaint(given)
  local state
  if not message then
    state = {}
    state.own, state.client = split(given)
    local _
    _, message = options.resolve(state.client)
  end
  if message then
    error("sendapi.source: " .. message, 2)
  end
  state.own.options = copy_of(state.own.options)
  state.own.tokens = copy_of(connector.tokens(given.token))
  local self = setmetatable({}, Source)
  private[self] = state
  return self
end

local function state_of(self, method)
  local state = self ~= nil and private[self]
  if not state then
    error(("call it with a colon: source:%s(...)"):format(method), 3)
  end
  return state
end

--- What is given beside the source must be a table, and must not say again what the source says.
local function check_more(given, method, name)
  local message
  if type(given) ~= "table" then
    message = ("expected a table, got a %s"):format(type(given))
  elseif given[name] ~= nil then
    message = ("'%s' is the source's to say, by its 'options'"):format(name)
  end
  if message then
    error(("source:%s: %s"):format(method, message), 3)
  end
end

--- A client of the source, which signs with its first token.
---@param more sendapi.ClientOptions|nil go before the source's
---@return sendapi.Client
function Source:client(more)
  local state = state_of(self, "client")
  check_more(more or {}, "client", "source_options")
  local merged = copy_of(state.client)
  for name, value in pairs(more or {}) do
    merged[name] = value
  end
  merged.source_options = copy_of(state.own.options)
  local made, message = client.make(state.own.id, state.own.tokens[1], merged)
  if not made then
    error("sendapi.client: " .. message, 2)
  end
  return made
end

--- A connector of the source, which accepts all its tokens.
---@param definition sendapi.Definition without `options`
---@return sendapi.Connector
function Source:connector(definition)
  local state = state_of(self, "connector")
  check_more(definition, "connector", "options")
  local merged = copy_of(definition)
  merged.options = state.own.options
  for _, name in ipairs(SHARED) do
    if merged[name] == nil then
      merged[name] = state.client[name]
    end
  end
  local made, message = connector.make(state.own.tokens, merged)
  if not made then
    error("sendapi.connector: " .. message, 2)
  end
  return made
end

function Source:__tostring()
  return ("%s: %s"):format(Source.__name, private[self].own.id)
end

return M
