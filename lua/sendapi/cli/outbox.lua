--- `sendapi outbox`: what waits in an outbox, and what is to become of its dead letters.
local input = require "sendapi.cli.input"
local letters = require "sendapi.cli.letters"
local moment = require "sendapi.cli.moment"
local stores = require "sendapi.store"

local M = { name = "outbox" }

local LIMIT = 100

---@class sendapi.cli.Verb
---@field name string
---@field summary string
---@field describe fun(parser: table)|nil its arguments but those that all have
---@field check nil|fun(given: table): any, string? what is right with them, or nil and what is not
---@field run fun(given: table, store: sendapi.Store, checked: any): integer, string?

--- The only source that is meant, or nil, a status, and what is wrong.
local function source_of(given, store)
  if given.source then
    return given.source
  end
  local sources, message = store:sources()
  if not sources then
    return nil, 1, message
  elseif #sources == 0 then
    return nil, 1, "there is nothing in the outbox"
  elseif #sources > 1 then
    return nil, 2, "ids are a source's, and the outbox has several: name one with '--source'"
  end
  return sources[1]
end

local function sources_of(given, store)
  if given.source then
    return { given.source }
  end
  return store:sources()
end

--- Does something with each source that is meant.
---@param visit fun(source: string): boolean|nil, string? nil, and what went wrong, ends it
---@return boolean|nil
---@return string|nil message
local function each_source(given, store, visit)
  local sources, message = sources_of(given, store)
  for _, source in ipairs(sources or {}) do
    local is_fine
    is_fine, message = visit(source)
    if not is_fine then
      return nil, message
    end
  end
  return sources and true, message
end

-- stats

local stats = { name = "stats", summary = "Say how much is pending and dead, by source." }

function stats.run(given, store)
  local now = os.time()
  local is_fine, message = each_source(given, store, function(source)
    local figures, problem = store:figures(source)
    if figures and given.json then
      figures.source = source
      letters.print_json(figures)
    elseif figures then
      letters.print_figures(source, figures, now)
    end
    return figures and true, problem
  end)
  return is_fine and 0 or 1, message
end

-- ls

local ls = { name = "ls", summary = "List what is pending, and dead letters: a line each." }

function ls.describe(command)
  command:mutex(
    command:flag("--pending", "Pending messages only."),
    command:flag("--dead", "Dead letters only.")
  )
  command:option("--after", "Higher ids only."):argname("ID"):convert(input.count)
  command:option("--limit", "Of each source, 100."):argname("COUNT"):convert(input.count)
end

--- What a source has, by ascending ids: one more than the limit, when there is more.
local function rows_of(given, store, source, page)
  local rows, dead, message = {}, {}, nil
  if not given.dead then
    rows, message = store:look(source, page)
  end
  if rows and not given.pending then
    dead, message = store:letters(source, page)
  end
  if not rows or not dead then
    return nil, message
  end
  for _, letter in ipairs(dead) do
    rows[#rows + 1] = letter
  end
  table.sort(rows, function(left, right)
    return left.id < right.id
  end)
  return rows
end

function ls.run(given, store)
  local limit = given.limit or LIMIT
  local count = 0
  local is_fine, message = each_source(given, store, function(source)
    local page = { after = given.after, limit = limit + 1 }
    local rows, problem = rows_of(given, store, source, page)
    for i = 1, math.min(limit, #(rows or {})) do
      count = count + 1
      if given.json then
        letters.print_json(letters.record(source, rows[i]))
      else
        letters.print_line(source, rows[i])
      end
    end
    if rows and #rows > limit then
      letters.tell_more(source, rows[limit].id)
    end
    return rows and true, problem
  end)
  if not is_fine then
    return 1, message
  end
  return count > 0 and 0 or 1, count == 0 and "nothing of that is in the outbox" or nil
end

-- show

local show = { name = "show", summary = "Show a message or a letter with its text." }

function show.describe(command)
  command:argument("id", "Its number in the outbox."):argname("ID"):convert(input.count)
end

function show.run(given, store)
  local source, status, message = source_of(given, store)
  if not source then
    return status, message
  end
  local page = { after = given.id - 1, limit = 1, body = true }
  local found
  found, message = rows_of({}, store, source, page)
  if not found then
    return 1, message
  end
  for _, letter in ipairs(found) do
    if letter.id == given.id then
      if given.json then
        letters.print_json(letters.record(source, letter))
      else
        letters.print_whole(source, letter)
      end
      return 0
    end
  end
  return 1, ("there is no %d in the outbox"):format(given.id)
end

-- retry and discard

local function describe_choice(command)
  command:argument("ids", "Numbers of dead letters."):argname("ID"):args("*"):convert(input.count)
  command:flag("--all", "All of them.")
  command:option("--code", "Those with this code, such as refused."):argname "CODE"
  command:option("--action", "Those of this action, such as messages.create."):argname "ACTION"
  command:option("--lane", "Those of this conversation, such as 'thread 42'."):argname "KEY"
  command:option("--died-after", "Those given up then or later.")
    :argname("TIME")
    :convert(moment.read)
  command:option("--died-before", "Those given up earlier."):argname("TIME"):convert(moment.read)
end

local function filter_of(given)
  return {
    code = given.code,
    action = given.action,
    lane = given.lane,
    after = given.died_after,
    before = given.died_before,
  }
end

--- Which letters are meant: ids, or a filter; or nil, and what is wrong.
local function choice_of(given)
  local filter = filter_of(given)
  local is_filtered = next(filter) ~= nil
  local ways = (given.all and 1 or 0) + (#given.ids > 0 and 1 or 0) + (is_filtered and 1 or 0)
  if ways ~= 1 then
    return nil, "say which letters: by their ids, or '--all', or by what they have in common"
  end
  return #given.ids > 0 and { ids = given.ids } or { filter = filter }
end

--- Settles letters one by one. The count is told even when it fails.
local function settle_ids(store, method, source, ids)
  local count, missing = 0, {}
  for _, id in ipairs(ids) do
    local found, message = store[method](store, source, id)
    if not found then
      return count, message
    elseif found == 0 then
      missing[#missing + 1] = ("%d"):format(id)
    end
    count = count + found
  end
  local is_whole = #missing == 0
  return count, not is_whole and "no dead letter: " .. table.concat(missing, ", ") or nil
end

local function settle_filter(given, store, method, filter)
  local count = 0
  local _, message = each_source(given, store, function(source)
    local found, problem = store[method](store, source, filter)
    count = count + (found or 0)
    return found and true, problem
  end)
  return count, message or (count == 0 and "no dead letter is like that" or nil)
end

local function settling(name, summary, done)
  local verb = { name = name, summary = summary, describe = describe_choice, check = choice_of }
  function verb.run(given, store, choice)
    local count, message
    if choice.ids then
      local source, status
      source, status, message = source_of(given, store)
      if not source then
        return status, message
      end
      count, message = settle_ids(store, name, source, choice.ids)
    else
      count, message = settle_filter(given, store, name, choice.filter)
    end
    if given.json then
      letters.print_json { [done] = count }
    elseif count > 0 then
      print(("%d %s"):format(count, done))
    end
    return message and 1 or 0, message
  end
  return verb
end

---@type sendapi.cli.Verb[]
local VERBS = {
  stats,
  ls,
  show,
  settling("retry", "Make dead letters pending again.", "retried"),
  settling("discard", "Forget dead letters.", "discarded"),
}

function M.describe(command)
  command:summary "Look into an outbox, and settle its dead letters."
  command:description [[
Looks into an outbox that may be in use, and settles its dead letters. OUTBOX is the path or the
redis:// url that the option `outbox` has; - is that in SENDAPI_OUTBOX.]]
  command:command_target "verb"
  for _, verb in ipairs(VERBS) do
    local parser = command:command(verb.name)
    parser:summary(verb.summary)
    parser:description(verb.summary)
    parser:argument("outbox", "Its path, or its redis:// url."):argname "OUTBOX"
    if verb.describe then
      verb.describe(parser)
    end
    parser:option("--source", "Of this source only."):argname "ID"
    parser:flag("--json", "Write JSON, a line each.")
  end
end

local function place_of(given)
  if given.outbox ~= "-" then
    return given.outbox
  end
  return input.variable "SENDAPI_OUTBOX"
end

local function verb_of(given)
  for _, verb in ipairs(VERBS) do
    if verb.name == given.verb then
      return verb
    end
  end
end

function M.run(given)
  local place, verb = place_of(given), verb_of(given)
  if not place then
    return 2, "the outbox is missing: set SENDAPI_OUTBOX"
  end
  local checked, message
  if verb.check then
    checked, message = verb.check(given)
  end
  if message then
    return 2, message
  end
  local store
  store, message = stores.open(place)
  if not store then
    return 1, message
  end
  local is_run, status
  is_run, status, message = pcall(verb.run, given, store, checked)
  store:close()
  if not is_run then
    error(status, 0)
  end
  return status, message
end

return M
