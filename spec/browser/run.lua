--- Runs the browser's checks, or another of its programs, beside a sandbox and a web chat.
--
--   lua5.4 spec/browser/run.lua SCRIPT DIRECTORY
--
-- runs SCRIPT by node with the url of the screen and DIRECTORY, and exits as it does. The
-- environment tells it of the source `chat` (CHAT_TOKEN) and of the web chat that is its connector
-- (CHAT_URL, absent where the web chat cannot be started).
local host = require "sendapi.sandbox.host"
local nginx = require "spec.support.nginx"
local shell = require "spec.support.shell"

local TOKEN = "56e79ea426735090665b1c107c757d6d3a692c061335e4728899af27f215edf3"
local SECONDS = 330 -- at most; a script ends itself before

local function start_chat(sandbox)
  local is_started, chat = pcall(nginx.start_example, "examples/web_chat", {
    SENDAPI_BASE_URL = sandbox.http,
    SENDAPI_SOURCE = "chat",
    SENDAPI_TOKEN = TOKEN,
  })
  if not is_started then
    io.stderr:write("The web chat was not started: ", tostring(chat), "\n")
  end
  return is_started and chat or nil
end

local function run(script, directory, sandbox, chat)
  local words = { "CHAT_TOKEN=" .. TOKEN }
  words[#words + 1] = chat and "CHAT_URL=" .. chat.url
  words[#words + 1] = ("timeout --foreground --kill-after=10 %d node"):format(SECONDS)
  words[#words + 1] = shell.quote(script)
  words[#words + 1] = sandbox.http .. "/"
  words[#words + 1] = shell.quote(directory)
  local _, _, status = os.execute(table.concat(words, " "))
  return status
end

local sandbox = assert(host.start {
  sources = { chat = { token = TOKEN, name = "Web chat", interval = 0 } },
})
local chat = nginx.core() and start_chat(sandbox)
local was_run, status = pcall(run, arg[1], arg[2], sandbox, chat)
if chat then
  chat:stop()
end
sandbox:stop()
assert(was_run, status)
os.exit(status)
