-- Starts a sandbox on this machine, sends it one example of each of the seven actions, then four
-- requests that must be refused. The exit status is 0 only if all went as it should.
local core = require "sendapi.core"
local host = require "sendapi.sandbox.host"
local sendapi = require "sendapi"

local SOURCE_ID = "8da592bc6fcf8bae41b2"
local TOKEN = "56e79ea426735090665b1c107c757d6d3a692c061335e4728899af27f215edf3"

local john = { id = "666", created_at = "07/11/2019", screenname = "John Doe" }
local agent = { id = "7", created_at = "07/11/2019", screenname = "Agent", puppetizable = true }

local deliveries = {
  {
    "messages.create",
    {
      id = "890",
      actions = { "reply", "show", "list" },
      author = john,
      body = "Awesome post !",
      format = "text",
      thread_id = "42",
    },
  },
  {
    "private_messages.create",
    { id = "891", author = john, body = "Awesome post !", recipient = agent },
  },
  { "threads.create", { id = "42", author = john, body = "Awesome post !", title = "Posts" } },
  { "users.create", agent },
  { "status.mark_as_read", { id = "890" } },
  { "typing.start", { thread_id = "42", in_reply_to_id = "890", preview = "Hello world" } },
  { "typing.stop", { thread_id = "42", in_reply_to_id = "890" } },
}

local message = { id = "892", author = john, body = "Nice post!", thread_id = "888" }

--- The message with some fields set to others; false leaves a field out.
local function but(changes)
  local changed = {}
  for name, value in pairs(message) do
    changed[name] = value
  end
  for name, value in pairs(changes) do
    changed[name] = value or nil
  end
  return changed
end

local refusals = {
  { "with a wrong token", "invalid_signature", token = "not the token", params = message },
  { "from an unknown source", "source_not_found", source_id = "nobody", params = message },
  { "without its thread_id", "invalid_params", params = but { thread_id = false } },
  { "with a misspelt field", "invalid_params", params = but { in_reply_to = "890" } },
}

local failed = 0

--- Runs one call and prints what was called, what came of it and how long it took.
local function show(title, expected, call)
  local start = core.now()
  local ok, err = call()
  local milliseconds = (core.now() - start) * 1000
  local outcome = ok and "ok" or err.code
  local right = outcome == expected
  failed = failed + (right and 0 or 1)
  print(("%s %-56s %8.2f ms  %s"):format(right and "+" or "!", title, milliseconds, outcome))
  if not ok then
    print("    " .. err.message)
  end
end

local function deliver(client)
  print("The seven actions, delivered:")
  for _, delivery in ipairs(deliveries) do
    local action, params = delivery[1], delivery[2]
    local resource, operation = action:match "(.*)%.(.*)"
    show(("client.%s:%s"):format(resource, operation), "ok", function()
      return client[resource][operation](client[resource], params)
    end)
  end
end

local function refuse(sandbox, options)
  print("Four refusals:")
  for _, case in ipairs(refusals) do
    local client = sendapi.client(case.source_id or SOURCE_ID, case.token or TOKEN, options)
    show("client.messages:create " .. case[1], case[2], function()
      return client.messages:create(case.params)
    end)
    client:close()
  end
  -- Two were refused here and never left; the sandbox has seen the rest.
  if #sandbox:received() ~= #deliveries + 2 then
    print("! the sandbox received " .. #sandbox:received() .. " requests")
    failed = failed + 1
  end
end

local function run(sandbox)
  local options = { base_url = sandbox.https, ca_file = sandbox.ca_file }
  print(("A sandbox of Engage Digital listens at %s\n"):format(sandbox.https))
  local client = sendapi.client(SOURCE_ID, TOKEN, options)
  deliver(client)
  client:close()
  print()
  refuse(sandbox, options)
end

local sandbox = assert(host.start { sources = { [SOURCE_ID] = { token = TOKEN } } })
local ok, message_of_error = pcall(run, sandbox)
sandbox:stop()
if not ok then
  error(message_of_error, 0)
end
print(failed == 0 and "\nAll as it should be." or ("\n%d not as it should be."):format(failed))
os.exit(failed == 0 and 0 or 1)
