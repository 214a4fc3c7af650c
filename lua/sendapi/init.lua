--- sendapi: contents for RingCentral Engage Digital, in near real time.
--
--     local sendapi = require "sendapi"
--     local client = sendapi.client(source_id, token, { domain = "acme" })
--     local ok, err = client.messages:create { … }
--
-- What is not delivered is `nil, err` (error.lua). Misuse raises at the caller's line.
local cjson = require "cjson"
local client = require "sendapi.client"
local connector = require "sendapi.connector"
local core = require "sendapi.core"
local options_list = require "sendapi.options"
local page = require "sendapi.connector.page"
local source = require "sendapi.source"
local version = require "sendapi.version"

-- lua-cjson's ways to say "empty array"; its older versions have none.
core.sentinels {
  empty_array = cjson.empty_array,
  empty_array_mt = cjson.empty_array_mt,
  array_mt = cjson.array_mt,
}

local M = { _VERSION = version }

--- Every code that an error may have: a list of { code, class, message }.
M.errors = core.failures

--- See client.lua.
M.client = client.new

--- See connector/init.lua.
M.connector = connector.new

--- See connector/page.lua.
M.page = page.page

--- See source.lua.
M.source = source.new

--- Checks params without sending them.
--
-- Errors are what the server is known to refuse; warnings what its documents say but it is not
-- known to refuse (texts that are too long, a url that is neither http nor https).
---@param action string `"messages.create"`
---@param params any
---@param options sendapi.ClientOptions|nil `source_options` and `extra_fields` count
---@return true|nil valid
---@return sendapi.Problem[] problems every one of them, in no promised order; may be empty
M.validate = client.validate

--- The figures of all clients of this Lua state, labelled by source id, for a scrape endpoint.
---@return string text in Prometheus' format
function M.prometheus()
  return require("sendapi.prometheus").text()
end

--- A conformance run against any connector, over HTTP; see check/init.lua.
---@param url string where Engage Digital would post to
---@param token string
---@param settings sendapi.CheckSettings|nil
---@return sendapi.CheckReport report `tostring` of it is what a terminal shows
function M.check(url, token, settings)
  local report = require("sendapi.check").run(url, token, settings, 3)
  return report
end

--- A sandbox of Engage Digital for a program's own specs, not started yet; see sandbox/init.lua.
---@param given sendapi.SandboxOptions|nil
---@return sendapi.Sandbox
function M.sandbox(given)
  local sandbox = require("sendapi.sandbox").new(given, 3)
  return sandbox
end

local function check_string(value, name)
  if type(value) ~= "string" then
    error(("%s: expected a string, got a %s"):format(name, type(value)), 3)
  end
end

--- The signature of a body: lower-case hex HMAC-SHA512.
---@param token string
---@param body string the exact bytes
---@return string hex 128 characters
function M.sign(token, body)
  check_string(token, "token")
  check_string(body, "body")
  local signer = core.signer(token)
  local hex = signer:sign(body)
  signer:close()
  return hex
end

--- Whether a signature is right, in constant time. A missing one is wrong.
---@param token string
---@param body string the exact bytes that came
---@param hex string|nil in either case
---@return boolean
function M.verify(token, body, hex)
  check_string(token, "token")
  check_string(body, "body")
  if hex == nil then
    return false
  end
  check_string(hex, "hex")
  local signer = core.signer(token)
  local right = signer:verify(body, hex)
  signer:close()
  return right
end

local function check_file_options(options)
  if options == nil then
    return {}
  end
  if type(options) ~= "table" then
    error(("options: expected a table, got a %s"):format(type(options)), 3)
  end
  for name in pairs(options) do
    if name ~= "filename" and name ~= "type" then
      local near = options_list.suggestion(name, { "filename", "type" })
      error(("options: there is no '%s'%s"):format(options_list.printable(name), near), 3)
    end
  end
  return options
end

--- A file to attach: `attachments = { sendapi.file "invoice.pdf" }`. It is read by the call.
---@param path string
---@param options { filename: string?, type: "audio"|"video"|nil }|nil the name that the receiver
-- sees, the last part of the path unless given; what an .mp4 holds
---@return userdata
function M.file(path, options)
  check_string(path, "path")
  if path:find("\0", 1, true) then
    error("path: a NUL cannot be in it", 2)
  end
  options = check_file_options(options)
  local filename = options.filename or path:match "[^/\\]+$" or path
  check_string(filename, "filename")
  if options.type ~= nil then
    check_string(options.type, "type")
  end
  return core.file(path, filename, options.type)
end

return M
