--- `sendapi sandbox`: a sandbox in the foreground, until a signal ends it.
local config = require "sendapi.cli.config"
local core = require "sendapi.core"
local input = require "sendapi.cli.input"
local sandboxes = require "sendapi.sandbox"
local shell = require "sendapi.sandbox.shell"

local M = { name = "sandbox" }

local USUAL_PORT = 8080
local LOOKS_EVERY = 1 -- second, whether it is still there

-- `{name}` is replaced; the values are quoted for the shell where they need it.
local TEXT = [[
A sandbox, not the real service. Ctrl-C ends it.

  page    {url}
{sources}

To use it from another terminal:

export SENDAPI_BASE_URL={base_url} SENDAPI_SOURCE={source} SENDAPI_TOKEN={token}

A first message, from Lua or by curl:

{lua} -e '{program}'

{curl}

ready {base_url_bare}
]]

local PROGRAM = 'print(require("sendapi").client(os.getenv "SENDAPI_SOURCE", '
  .. 'os.getenv "SENDAPI_TOKEN").messages:create { id = "1", thread_id = "42", '
  .. 'author = { id = "7", screenname = "Alice", created_at = "2026-01-01T00:00:00Z" }, '
  .. 'body = "Hello from Lua" })'

local CURL = [[body='{"action":"messages.create","params":{"id":"2","thread_id":"42",]]
  .. [["author":{"id":"7","screenname":"Alice","created_at":"2026-01-01T00:00:00Z"},]]
  .. [["body":"Hello from curl"}}'; ]]
  .. [[curl -sS --noproxy '*' -H "X-SMCCSDK-SIGNATURE: $(printf %s "$body" | ]]
  .. [[openssl dgst -sha512 -hmac "$SENDAPI_TOKEN" -r | cut -d ' ' -f 1)" ]]
  .. [[--data-binary "$body" "$SENDAPI_BASE_URL/realtime/sdk/$SENDAPI_SOURCE"; echo]]

function M.describe(command)
  command:summary "Run Engage Digital's side on this machine, with an agent's screen."
  command:description [[
Runs Engage Digital's side on this machine, with an agent's screen, until Ctrl-C. A line
`ready URL` says that it accepts connections.]]
  command:option("--port", "Port for HTTP; 0: a free one."):argname("PORT"):convert(input.number)
  command:option("--https-port", "Port for HTTPS; a free one unless told.")
    :argname("PORT")
    :convert(input.number)
  command:option("--host", "Address to listen at, 127.0.0.1 unless told."):argname "ADDRESS"
  command:option("--config", "Lua file that returns options of sendapi.sandbox."):argname "FILE"
  command:option("--id", "The source's id; one by chance."):argname "ID"
  command:option("--token", "The source's access token, for this sandbox alone; one by chance.")
    :argname "TOKEN"
  command:option("--connector", "Where agents' replies go."):argname "URL"
  command:flag("--open", "Let everybody change it over HTTP, without a token: for tests.")
  command:option("--option", "An option of the source, such as view.messaging; several times.")
    :argname("NAME")
    :count "*"
end

-- What is given to the command -> what the sandbox calls it.
local NAMES = {
  port = "port",
  https_port = "https_port",
  host = "host",
  id = "id",
  token = "token",
  connector = "connector",
  open = "open",
}

--- The options of `sendapi.sandbox`: the command line's go before the file's.
local function options_of(given)
  local options, message = {}
  if given.config then
    options, message = config.read(given.config)
  end
  if not options then
    return nil, message
  end
  for name, option in pairs(NAMES) do
    if given[name] ~= nil then
      options[option] = given[name]
    end
  end
  if #given.option > 0 then
    options.options = given.option
  end
  if options.port == nil then
    options.port = USUAL_PORT
  end
  return options
end

--- The Lua that runs this, as a user would call it.
local function interpreter()
  if rawget(_G, "jit") then
    return "luajit"
  end
  return "lua" .. _VERSION:match "%d.%d"
end

local function describe_sources(sandbox)
  local ids, lines = {}, {}
  for id in pairs(sandbox.sources) do
    ids[#ids + 1] = id
  end
  table.sort(ids)
  for _, id in ipairs(ids) do
    lines[#lines + 1] = ("  source  %s\n  token   %s"):format(id, sandbox.sources[id].token)
  end
  return table.concat(lines, "\n")
end

local function show(sandbox)
  local values = {
    url = sandbox.url,
    sources = describe_sources(sandbox),
    base_url = shell.quote(sandbox.base_url),
    base_url_bare = sandbox.base_url,
    source = shell.quote(sandbox.source_id),
    token = shell.quote(sandbox.token),
    lua = interpreter(),
    program = PROGRAM,
    curl = CURL,
  }
  io.stdout:write((TEXT:gsub("{([%w_]+)}", values)))
  io.stdout:flush()
end

--- Waits for a signal: true; or false when the sandbox has ended before.
local function wait(sandbox)
  while not core.wait_for_signal(LOOKS_EVERY) do
    if not sandbox:is_running() then
      return false
    end
  end
  return true
end

local function explain(message)
  local is_taken = message:find "^port %d+ is taken$"
  return is_taken and message .. "; `--port 0` takes a free one" or message
end

function M.run(given)
  local options, message = options_of(given)
  if not options then
    return 2, message
  end
  local is_fine, sandbox = pcall(sandboxes.new, options, 0)
  if not is_fine then
    return 2, (sandbox:gsub("^sendapi%.sandbox: ", ""))
  end
  core.hold_signals()
  local is_started
  is_started, message = sandbox:start()
  if not is_started then
    return 1, explain(message)
  end
  show(sandbox)
  local is_ended_by_signal = wait(sandbox)
  sandbox:stop()
  if not is_ended_by_signal then
    return 1, "the sandbox was ended by somebody else"
  end
  return 0
end

return M
