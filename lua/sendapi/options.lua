--- Every option of `sendapi.client`, once: name, type, default, unit, sentence.
--
-- The README's table is made from this list. Times are seconds, sizes bytes.
local core = require "sendapi.core"

---@class sendapi.Option
---@field name string
---@field type "string"|"number"|"integer"|"boolean"|"list"|"retry"|"function"
---@field default any      nil: none
---@field least number?    the smallest value allowed
---@field choices string[]? the values allowed
---@field shown string?     what the README says of the default
---@field unit string?
---@field environment string? the variable that stands in; of `base_url` and `domain` when neither
-- is given
---@field sentence string

---@type sendapi.Option[]
local list = {
  {
    name = "domain",
    type = "string",
    environment = "SENDAPI_DOMAIN",
    sentence = "`acme` means `https://acme.engagement.dimelo.com`; with a dot it is the whole host",
  },
  {
    name = "base_url",
    type = "string",
    environment = "SENDAPI_BASE_URL",
    sentence = "scheme, host, port and path before `/realtime/sdk`; goes before `domain`",
  },
  {
    name = "source_options",
    type = "list",
    default = {},
    sentence = "the source's options, as in `implementation.info`: they relax what is required",
  },
  {
    name = "extra_fields",
    type = "boolean",
    default = false,
    sentence = "let fields pass that the schema does not know, instead of refusing them",
  },
  {
    name = "timeout",
    type = "number",
    default = 30,
    least = 0.001,
    unit = "seconds",
    sentence = "for one whole exchange, from name resolution to the answer's last byte",
  },
  {
    name = "connect_timeout",
    type = "number",
    default = 5,
    least = 0.001,
    unit = "seconds",
    sentence = "for name resolution, connection and TLS together",
  },
  {
    name = "deadline",
    type = "number",
    default = 60,
    least = 0.001,
    unit = "seconds",
    sentence = "for a call with all its attempts and waits; typing has 2 s",
  },
  {
    name = "retry",
    type = "retry",
    default = { attempts = 4, first = 0.5, longest = 8 },
    shown = "4 attempts, 0.5 s to 8 s",
    sentence = "`{ attempts, first, longest }` (seconds of jittered, doubled waits; attempts "
      .. "that find no server, and probes of a dead one, do not count), `false` for a single "
      .. "attempt, or a function `(err, attempt)` that returns seconds, or nil to give up",
  },
  {
    name = "ordered",
    type = "boolean",
    default = true,
    sentence = "send what belongs to one conversation one by one, in the order of the calls",
  },
  {
    name = "connections",
    type = "integer",
    default = 16,
    least = 1,
    sentence = "requests of this client that may be on their way at once",
  },
  {
    name = "outbox",
    type = "string",
    sentence = "a path (SQLite) or `redis://` url: messages are kept there until they are "
      .. "delivered. Calls return once stored; `retry` and `deadline` do not bound delivery",
  },
  {
    name = "durability",
    type = "string",
    default = "full",
    choices = { "full", "process" },
    sentence = "what the outbox survives: `full` the machine's crash, `process` the program's only",
  },
  {
    name = "on_dead",
    type = "function",
    sentence = "`(letter)`: the outbox gave a message up; called as callbacks are, and while no "
      .. "call is under way too: by nginx and luv themselves, elsewhere by `poll`",
  },
  {
    name = "on_pause",
    type = "function",
    sentence = "`(err)`: the outbox waits, because the source is at fault; `(nil)`: it goes on; "
      .. "called like `on_dead`",
  },
  {
    name = "max_pending",
    type = "integer",
    default = 10000,
    least = 1,
    sentence = "requests accepted and not answered yet; past it calls fail with `queue_full`",
  },
  {
    name = "max_pending_bytes",
    type = "integer",
    default = 268435456,
    least = 1,
    unit = "bytes",
    sentence = "the same for the sum of their bodies",
  },
  {
    name = "ca_file",
    type = "string",
    environment = "SSL_CERT_FILE",
    sentence = "authorities to trust (PEM) instead of the system's; TLS is always verified",
  },
  {
    name = "proxy",
    type = "string",
    sentence = "url of a proxy; the environment's proxies are never used",
  },
  {
    name = "runtime",
    type = "string",
    choices = { "blocking", "tick", "nginx", "cqueues", "luv" },
    shown = "found out",
    sentence = "how a call waits: `blocking`, `tick`, `nginx`, `cqueues` or `luv`",
  },
  {
    name = "close_timeout",
    type = "number",
    default = 5,
    least = 0,
    unit = "seconds",
    sentence = "how long `close`, and the end of the program, wait for what is under way",
  },
  {
    name = "log",
    type = "function",
    shown = "stderr, nginx's log",
    sentence = "`(level, message)`: what can be told nobody else, such as an error in a callback",
  },
  {
    name = "http2",
    type = "boolean",
    default = false,
    sentence = "let the server choose HTTP/2 over TLS",
  },
  {
    name = "insecure_http",
    type = "boolean",
    default = false,
    sentence = "let `base_url` be http to other machines than this one: nothing is encrypted then",
  },
}

local by_name, names = {}, {}
for _, option in ipairs(list) do
  by_name[option.name] = option
  names[#names + 1] = option.name
end

local function quoted_suggestion(word, words)
  local near = type(word) == "string" and core.suggest(word, words)
  return near and (", did you mean '%s'?"):format(near) or ""
end

local SHOWN = 60 -- characters of a text that a message quotes

--- A value made fit for a message: printable ASCII, cut short.
local function printable(value)
  local text = tostring(value):sub(1, SHOWN + 1):gsub("[^ -~]", "?")
  return #text > SHOWN and text:sub(1, SHOWN) .. "..." or text
end

local function is_list_of_strings(value)
  if type(value) ~= "table" then
    return false
  end
  local count = 0
  for _, item in pairs(value) do
    count = count + 1
    if type(value[count]) ~= "string" or type(item) ~= "string" then
      return false
    end
  end
  return true
end

local LARGEST = 2 ^ 40 -- seconds, bytes or requests: beyond it a number is a mistake

local retry_names = { "attempts", "first", "longest" }
local retry_least = { attempts = 1, first = 0, longest = 0 }

local function complaint_of_policy(policy)
  for name, value in pairs(policy) do
    local least = retry_least[name]
    if not least then
      return ("unknown '%s'%s"):format(printable(name), quoted_suggestion(name, retry_names))
    end
    if type(value) ~= "number" or not (value >= least and value < 2 ^ 31) then
      return ("'%s' must be a number of at least %d"):format(name, least)
    end
  end
end

local function complaint_of_retry(value)
  if value == false or type(value) == "function" then
    return nil
  end
  if type(value) ~= "table" then
    return ("expected a table, a function or false, got a %s"):format(type(value))
  end
  return complaint_of_policy(value)
end

local function complaint_of_list(value)
  return not is_list_of_strings(value) and "expected a list of strings" or nil
end

local function complaint_of_choice(option, value)
  for _, choice in ipairs(option.choices) do
    if value == choice then
      return nil
    end
  end
  return ("there is no '%s'%s"):format(printable(value), quoted_suggestion(value, option.choices))
end

--- The core takes texts up to their first zero byte.
local function complaint_of_text(value)
  if value == "" then
    return "must not be empty"
  end
  return value:find("\0", 1, true) and "must not have a zero byte" or nil
end

--- Says what is wrong with a value, or nothing.
local function complaint(option, value)
  if option.type == "list" then
    return complaint_of_list(value)
  elseif option.type == "retry" then
    return complaint_of_retry(value)
  elseif option.choices and type(value) == "string" then
    return complaint_of_choice(option, value)
  end
  local wanted = option.type == "integer" and "number" or option.type
  if type(value) ~= wanted then
    return ("expected a %s, got a %s"):format(wanted, type(value))
  end
  if wanted == "string" then
    return complaint_of_text(value)
  elseif wanted ~= "number" then
    return nil
  end
  if value ~= value or value < option.least then
    return ("must be at least %s"):format(option.least)
  end
  if value >= LARGEST then
    return ("must be less than %d"):format(LARGEST)
  end
  return option.type == "integer" and value % 1 ~= 0 and "expected a whole number" or nil
end

local function check(given)
  for name, value in pairs(given) do
    local option = by_name[name]
    if not option then
      return ("unknown option '%s'%s"):format(printable(name), quoted_suggestion(name, names))
    end
    local wrong = complaint(option, value)
    if wrong then
      return ("option '%s': %s"):format(name, wrong)
    end
  end
end

--- A variable that is set but empty counts as not set.
local function from_environment(option)
  local value = option.environment and os.getenv(option.environment)
  return value ~= "" and value or nil
end

local M = { list = list }

--- A policy is filled up with the defaults; `false` is a single attempt.
local function resolve_retry(retry)
  local default = by_name.retry.default
  if type(retry) == "function" then
    return retry
  end
  retry = retry or { attempts = 1 }
  return {
    attempts = retry.attempts or default.attempts,
    first = retry.first or default.first,
    longest = retry.longest or default.longest,
  }
end

--- Checks what the user gave and fills in what was not: defaults, then the environment.
---@param given table|nil
---@return table|nil options a new table; nil when something is wrong
---@return string|nil message
function M.resolve(given)
  if given ~= nil and type(given) ~= "table" then
    return nil, ("options: expected a table, got a %s"):format(type(given))
  end
  given = given or {}
  local wrong = check(given)
  if wrong then
    return nil, wrong
  end
  local resolved = {}
  for _, option in ipairs(list) do
    local value = given[option.name]
    if value == nil then
      value = option.default
    end
    resolved[option.name] = value
  end
  resolved.retry = resolve_retry(resolved.retry)
  if not resolved.base_url and not resolved.domain then
    resolved.base_url = from_environment(by_name.base_url)
    resolved.domain = from_environment(by_name.domain)
  end
  resolved.ca_file = resolved.ca_file or from_environment(by_name.ca_file)
  return resolved
end

M.suggestion = quoted_suggestion
M.printable = printable

return M
