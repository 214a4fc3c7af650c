--- Starts a sandbox and the web chat before the browser's checks, and ends them after.
--
--   lua5.4 spec/browser/run.lua SCRIPT DIRECTORY
--
-- runs SCRIPT by node with the page's url and DIRECTORY, and exits as it does. Where the web chat
-- cannot be started, its checks are told to be skipped.
local host = require "sendapi.sandbox.host"
local nginx = require "spec.support.nginx"
local shell = require "spec.support.shell"

local TOKEN = "56e79ea426735090665b1c107c757d6d3a692c061335e4728899af27f215edf3"

local script, directory = arg[1], arg[2]
local sandbox = assert(host.start {
  sources = { chat = { token = TOKEN, options = { "view.messaging", "messages.text" } } },
})

local function start_chat()
  return nginx.start_example("examples/web_chat", {
    SENDAPI_BASE_URL = sandbox.http,
    SENDAPI_SOURCE_ID = "chat",
    SENDAPI_TOKEN = TOKEN,
  })
end

local is_there, chat = pcall(start_chat)
if not is_there then
  print("skipped the web chat: " .. tostring(chat))
end

local command = ("exec node %s %s/ %s"):format(script, sandbox.http, shell.quote(directory))
local variables = { SANDBOX_TOKEN = TOKEN, WEB_CHAT = is_there and chat.url or "" }
for name, value in pairs(variables) do
  command = ("%s=%s %s"):format(name, shell.quote(value), command)
end
