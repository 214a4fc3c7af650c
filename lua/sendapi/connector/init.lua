--- A connector: what Engage Digital polls, as a table of functions.
--
-- There is no server in it: whoever has one passes each request's body and signature to `handle`
-- and sends what comes back.
local answer = require "sendapi.connector.answer"
local core = require "sendapi.core"
local definitions = require "sendapi.connector.definition"
local log = require "sendapi.log"
local requests = require "sendapi.connector.request"
local stores = require "sendapi.connector.store"

local M = {
  --- Bytes of the largest body that `handle` accepts.
  maximum_bytes = requests.maximum_bytes,
}

local INFO = "implementation.info"
local SIGNATURE = "X-SMCCSDK-SIGNATURE"
local JSON = "application/json; charset=utf-8"

local refusals = requests.refusals

-- What a connector keeps to itself, by connector, so that no dump of one shows a signer.
local private = setmetatable({}, { __mode = "k" })

---@class sendapi.Connector
local Connector = {}
Connector.__index = Connector
Connector.__name = "sendapi.Connector"

--- What is said of a token that is none.
M.EXPECTED_TOKEN = "token: expected the source's access token, not empty, or a list of two"

--- The accepted tokens as a list; nil when they are something else.
---@param token any
---@return string[]|nil
function M.tokens(token)
  local tokens = type(token) == "table" and token or { token }
  local count = 0
  for _, item in pairs(tokens) do
    count = count + 1
    if type(item) ~= "string" or item == "" then
      return nil
    end
  end
  return (count == 1 or count == 2) and #tokens == count and tokens or nil
end

--- The operations by their actions' names, each with its compiled schema.
local function prepare_operations(definition)
  local operations = { [INFO] = { kind = "info" } }
  local settings = {
    source_options = definition.options,
    extra_fields = definition.extra_fields,
  }
  for _, operation in ipairs(definitions.operations(definition)) do
    answer.prepare(operation, settings)
    operations[operation.name] = operation
  end
  return operations
end

local function new_state(tokens, definition, info)
  local state = {
    log = log.guarded(definition.log),
    store = definition.store,
    scopes = {},
    operations = prepare_operations(definition),
    signers = {},
    info = info,
    info_signatures = {}, -- by signer: the bytes never change
  }
  if state.store == nil then
    state.store = stores.memory()
  end
  for i, token in ipairs(tokens) do
    local signer = core.signer(token)
    state.signers[i] = signer
    state.info_signatures[signer] = signer:sign(info)
  end
  return state
end

--- Makes a connector; or says what is wrong with the arguments.
---@param token any
---@param definition any
---@return sendapi.Connector|nil
---@return string|nil message
function M.make(token, definition)
  local tokens = M.tokens(token)
  if not tokens then
    return nil, M.EXPECTED_TOKEN
  end
  local message = definitions.complaint(definition)
  if message then
    return nil, message
  end
  local info
  info, message = definitions.info_bytes(definition)
  if not info then
    return nil, message
  end
  local self = setmetatable({}, Connector)
  private[self] = new_state(tokens, definition, info)
  return self
end

--- Makes a connector of a source from a table of functions. Raises at the caller's line when an
-- argument is wrong. Later changes to the table mean nothing to it.
---@param token string|string[] the source's access token; during a rotation both, the new one first
---@param definition sendapi.Definition
---@return sendapi.Connector
function M.new(token, definition)
  local self, message = M.make(token, definition)
  if not self then
    error("sendapi.connector: " .. message, 2)
  end
  return self
end

local function is_given(signature)
  return type(signature) == "string" and signature ~= ""
end

--- The signer whose signature the body has; or nil, and why there is none.
local function find_signer(state, body, header, query)
  local signature = is_given(header) and header or query
  if not is_given(signature) then
    return nil, "neither the header nor the query has a signature"
  end
  for _, signer in ipairs(state.signers) do
    if signer:verify(body, signature) then
      return signer
    end
  end
  return nil,
    ("the signature in the %s fits no accepted token and these %d bytes"):format(
      signature == header and "header" or "query",
      #body
    )
end

local function refuse(state, refusal, reason)
  state.log("warn", ("connector: %d %s: %s"):format(refusal.status, refusal.text, reason))
  return refusal.status, refusal.text, { ["Content-Type"] = "text/plain" }
end

--- The bytes that answer a request that is in order.
local function answer_of(state, operation, request, signer)
  if operation.kind == "info" then
    return state.info, state.info_signatures[signer]
  elseif operation.kind == "create" then
    return stores.answer(state, operation, request, signer)
  end
  return answer.make(operation, request, signer, state.log)
end

local function handle(state, body, header, query)
  if #body > M.maximum_bytes then
    return refuse(state, refusals.too_large, ("it has %d bytes"):format(#body))
  end
  local signer, reason = find_signer(state, body, header, query)
  if not signer then
    return refuse(state, refusals.signature, reason)
  end
  local request, operation
  request, operation, reason = requests.read(state.operations, body)
  if not request then
    return refuse(state, operation, reason)
  end
  local bytes, signature = answer_of(state, operation, request, signer)
  return 200, bytes, { ["Content-Type"] = JSON, [SIGNATURE] = signature }
end

--- Answers one request. A handler may yield; any number of requests may be under way at once.
--
-- What is refused is answered by a status of its own and a short text without a signature; the
-- reason goes to the log, which never sees a token or a body. All else is 200 and signed JSON, a
-- resource error too: what a handler returns as `nil, message`, or makes of itself by raising.
---@param body string|nil the request's exact bytes
---@param header any the value of the header X-SMCCSDK-SIGNATURE
---@param query any the value of the query's parameter `signature`; counts when there is no header
---@return integer status of HTTP
---@return string body
---@return table<string, string> headers a new table
function Connector:handle(body, header, query)
  local state = self ~= nil and private[self]
  if not state then
    error("call it with a colon: connector:handle(body, signature)", 2)
  elseif body ~= nil and type(body) ~= "string" then
    error(("connector:handle: body: expected a string, got a %s"):format(type(body)), 2)
  end
  local status, text, headers = handle(state, body or "", header, query)
  return status, text, headers
end

--- Answers the request at hand in nginx's `content_by_lua`. See connector/nginx.lua.
function Connector:serve()
  local state = self ~= nil and private[self]
  if not state then
    error("call it with a colon: connector:serve()", 2)
  end
  return require("sendapi.connector.nginx").serve(self, state.log)
end

return M
