--- How pending messages and dead letters of an outbox are shown.
local cjson = require "cjson"
local json = require "sendapi.json"
local moment = require "sendapi.cli.moment"
local printable = require "sendapi.cli.printable"
local shell = require "sendapi.sandbox.shell"

local M = {}

--- On one line, for programs.
---@param value table
function M.print_json(value)
  print(printable.json(cjson.encode(value)))
end

local function is_dead(letter)
  return letter.code ~= nil
end

local function state_of(letter)
  return is_dead(letter) and "dead" or "pending"
end

local function count_of(number, noun)
  return ("%d %s%s"):format(number, noun, number == 1 and "" or "s")
end

local function print_fields(fields)
  for i, field in ipairs(fields) do
    fields[i] = printable.text(tostring(field))
  end
  print(table.concat(fields, "  "))
end

--- What `--json` tells of a letter, without its text unless it has it.
function M.record(source, letter)
  local record = { source = source, state = state_of(letter) }
  for name, value in pairs(letter) do
    record[name] = value
  end
  return record
end

--- A line: source, id, time, state, action, conversation, size; and of a letter why it is one.
---@param source string
---@param letter sendapi.Letter
function M.print_line(source, letter)
  local fields = {
    source,
    ("%d"):format(letter.id),
    moment.text(letter.time),
    state_of(letter),
    letter.action,
    letter.lane or "-",
    count_of(letter.bytes, "byte"),
  }
  if is_dead(letter) then
    fields[#fields + 1] = letter.code
    fields[#fields + 1] = letter.status and ("HTTP %d"):format(letter.status) or "-"
    fields[#fields + 1] = count_of(letter.attempts, "attempt")
    fields[#fields + 1] = letter.reason ~= "" and letter.reason or "-"
  end
  print_fields(fields)
end

--- That a source has more than was listed, beside the list.
---@param source string
---@param id integer the last one listed
function M.tell_more(source, id)
  local words = ("--source %s --after %d"):format(printable.text(shell.quote(source)), id)
  io.stderr:write("sendapi: there is more: ", words, "\n")
end

--- How it stands with a source.
---@param source string
---@param figures sendapi.StoreFigures
---@param now number seconds since 1970
function M.print_figures(source, figures, now)
  local waiting = ""
  if figures.oldest then
    waiting = (", %s, the oldest since %s (%s)"):format(
      count_of(figures.pending_bytes, "byte"),
      moment.text(figures.oldest),
      moment.duration(math.max(0, now - figures.oldest))
    )
  end
  print(
    ("%s: %d pending%s; %d dead"):format(
      printable.text(source),
      figures.pending,
      waiting,
      figures.dead
    )
  )
end

local function print_value(name, value)
  if value ~= nil and value ~= "" then
    print(("%-12s  %s"):format(name, printable.text(tostring(value))))
  end
end

local function print_body(body)
  local is_json = json.decode(body)
  print(is_json and printable.pretty(body) or printable.text(body))
end

--- Everything of a letter, its text last.
---@param source string
---@param letter sendapi.Letter
function M.print_whole(source, letter)
  print_value("source", source)
  print_value("id", ("%d"):format(letter.id))
  print_value("state", state_of(letter))
  print_value("action", letter.action)
  print_value("conversation", letter.lane)
  print_value("accepted", moment.text(letter.time))
  if is_dead(letter) then
    print_value("given up", moment.text(letter.died))
    print_value("code", letter.code)
    print_value("status", letter.status)
    print_value("attempts", ("%d"):format(letter.attempts))
    print_value("reason", letter.reason)
  end
  print_value("size", count_of(letter.bytes, "byte"))
  print ""
  print_body(letter.body or "")
end

return M
