--- The `sendapi` command: what each of its sub-commands is called, and how it ends.
--
-- The exit status is 0 when it went well, 1 when it did not, 2 when it was called in a wrong way.
-- What went wrong is one sentence on the second stream. Nothing is ever coloured.
local argparse = require "argparse"
local check = require "sendapi.cli.check"
local outbox = require "sendapi.cli.outbox"
local printable = require "sendapi.cli.printable"
local sandbox = require "sendapi.cli.sandbox"
local send = require "sendapi.cli.send"
local sign = require "sendapi.cli.sign"
local verify = require "sendapi.cli.verify"
local version = require "sendapi.version"

local M = {}

---@class sendapi.cli.Command
---@field name string
---@field describe fun(parser: table)  declares its arguments
---@field run fun(given: table): integer, string?  the exit status, and what went wrong

---@type sendapi.cli.Command[]
local COMMANDS = { sandbox, check, send, outbox, sign, verify }

local EPILOG = [[
Access tokens come from the environment, SENDAPI_TOKEN, or from a file, since others can read a
command line; only a sandbox's own may stand there. Exit status: 0 it went well, 1 it did not,
2 wrong usage.]]

local function print_version()
  print("sendapi " .. version)
  os.exit(0)
end

local function parser_of_all()
  local parser = argparse("sendapi", "Engage Digital's SDK sources, from a shell.", EPILOG)
  parser:command_target "command"
  parser:flag("--version", "Show the version and exit."):action(print_version)
  for _, command in ipairs(COMMANDS) do
    command.describe(parser:command(command.name))
  end
  return parser
end

--- Without what may be the password of a url that was given, and without anything that a terminal
-- would obey.
local function fit_to_show(message)
  local text = tostring(message):gsub("%s+$", "")
  text = text:gsub("([Rr][Ee][Dd][Ii][Ss][%w+]*:)[^\n]*@", "%1//...@")
  local lines = {}
  for line in (text .. "\n"):gmatch "(.-)\n" do
    lines[#lines + 1] = printable.text(line)
  end
  return table.concat(lines, "\n")
end

local function complain(message)
  io.stderr:write("sendapi: ", fit_to_show(message), "\n")
end

local function run(words)
  local is_parsed, given = parser_of_all():pparse(words)
  if not is_parsed then
    return 2, given .. "\n`sendapi --help` tells what there is."
  end
  for _, command in ipairs(COMMANDS) do
    if command.name == given.command then
      return command.run(given)
    end
  end
end

--- Runs the command. `--help` and `--version` end the program themselves.
---@param words string[]
---@return integer status
function M.main(words)
  local is_done, status, message = pcall(run, words)
  if not is_done then
    status, message = 1, status
  end
  if message then
    complain(message)
  end
  return status
end

return M
