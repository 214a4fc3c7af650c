-- luacheck: std ngx_lua
--- Faults on demand: what a server, a proxy or a network may do to a request instead of answering
-- it as it should. The functions run in nginx's content phase.
--
-- A fault is a table with a `kind`, and what that kind takes:
--
--   delay      `seconds`                      answers late
--   drop       `reset`                        accepts the request, then closes without an answer
--   half       `reset`                        promises more bytes than it sends, then closes
--   drip       `seconds` (0.01)               answers byte by byte, with a pause after each
--   status     `status`, `text`, `headers`,   answers with another status; with Retry-After in
--              `retry_after`,                 seconds,
--              `retry_after_date`             or as the date that is so many seconds away
--   body       `text`                         answers 200 with another body
--   redirect   `to`, `status` (302)           sends the client elsewhere
--   close                                     closes without a byte of answer
--   reset      `at` ("after")                 resets the connection: "before" reading the body of
--                                             the request, in its "middle", or "after" it
--   garbage                                   answers with bytes that are not HTTP
--   flood      `bytes` (100 MB)               answers 200 with that many bytes
--
-- The first four happen to a request that the rules have judged and remembered; the others take the
-- place of the rules. With `reset` the connection ends by a TCP reset instead of in good order.
--
-- A wrong certificate is no fault of these: the sandbox always has a port with one.
local faults = {}

local chunk = ("flood "):rep(10922) -- about 64 KiB
local promised_bytes = 1000 -- of an answer that stays half
local drip_seconds = 0.01
local settle_seconds = 0.02 -- for bytes to arrive before a reset overtakes them

--- Ends the connection where it stands, in good order: as after a client that went away.
local function close_connection()
  return ngx.exit(499)
end

--- Ends the connection by a reset: with `reset_timedout_connection` nginx (1.15.2 and later) treats
-- this status so.
local function reset_connection()
  return ngx.exit(444)
end

--- Ends the connection as the fault wants it, when bytes of an answer may be on their way.
local function end_connection(fault)
  if not fault.reset then
    return close_connection()
  end
  ngx.sleep(settle_seconds)
  return reset_connection()
end

local function raw_socket()
  local socket, message = ngx.req.socket(true)
  if not socket then
    error("no raw socket: " .. message)
  end
  return socket
end

local head = "HTTP/1.1 %d Answer\r\nContent-Type: text/plain\r\nContent-Length: %d\r\n"
  .. "Connection: close\r\n\r\n%s"

--- The bytes of an answer that promises so many bytes more than it has.
local function answer_bytes(status, text, more)
  return head:format(status, #text + more, text)
end

local function retry_after(fault)
  if fault.retry_after then
    return ("%d"):format(fault.retry_after)
  elseif fault.retry_after_date then
    return ngx.http_time(ngx.time() + fault.retry_after_date)
  end
  return nil
end

local function headers_of(fault)
  local headers = { ["Retry-After"] = retry_after(fault) }
  for name, value in pairs(fault.headers or {}) do
    headers[name] = value
  end
  return headers
end

--- Reads half of the request's body, as far as its length is known.
local function read_half()
  local length = tonumber(ngx.var.http_content_length) or 0
  local socket = length > 1 and ngx.req.socket()
  if socket then
    socket:receive(math.floor(length / 2))
  end
end

---@alias sendapi.sandbox.FaultFunction
---| fun(fault: table, status?: integer, text?: string): integer?, string?, table<string,string>?

--- Kind -> function. It gets the fault and, where the rules have judged, their answer. It returns
-- the status, text and headers to answer with, or has ended the connection.
---@type table<string, sendapi.sandbox.FaultFunction>
faults.kinds = {
  delay = function(fault, status, text)
    ngx.sleep(fault.seconds)
    return status, text
  end,

  drop = function(fault)
    return end_connection(fault)
  end,

  half = function(fault, status, text)
    raw_socket():send(answer_bytes(status, text, promised_bytes))
    return end_connection(fault)
  end,

  drip = function(fault, status, text)
    local socket = raw_socket()
    for byte in answer_bytes(status, text, 0):gmatch "." do
      if not socket:send(byte) then
        break -- the client has not waited
      end
      ngx.sleep(fault.seconds or drip_seconds)
    end
    return close_connection()
  end,

  status = function(fault)
    return fault.status, fault.text or "", headers_of(fault)
  end,

  body = function(fault)
    return 200, fault.text or ""
  end,

  redirect = function(fault)
    return fault.status or 302, "", { Location = fault.to }
  end,

  close = function()
    return close_connection()
  end,

  reset = function(fault)
    if fault.at == "middle" then
      read_half()
    end
    return reset_connection()
  end,

  garbage = function()
    raw_socket():send "\0\1\2\255 this is not HTTP \254\3\r\n\r\n\0"
    return close_connection()
  end,

  flood = function(fault)
    local left = fault.bytes or 100000000
    while left > 0 do
      ngx.print(chunk:sub(1, left))
      if not ngx.flush(true) then
        break -- the client has had enough
      end
      left = left - #chunk
    end
  end,
}

-- Kind -> field -> type: what it takes, and what it cannot do without.
local takes = {
  delay = { seconds = "number" },
  drop = { reset = "boolean" },
  half = { reset = "boolean" },
  drip = { seconds = "number" },
  status = {
    status = "number",
    text = "string",
    headers = "table",
    retry_after = "number",
    retry_after_date = "number",
  },
  body = { text = "string" },
  redirect = { to = "string", status = "number" },
  reset = { at = "string" },
  flood = { bytes = "number" },
}

local needs = {
  delay = { "seconds" },
  status = { "status" },
  redirect = { "to" },
}

local always_taken = { kind = "string", probability = "number", times = "number" }

local texts = {
  delay = "Answers late.",
  drop = "Takes the request, then closes without an answer.",
  half = "Promises more bytes than it sends, then closes.",
  drip = "Answers byte by byte, with a pause after each.",
  status = "Answers with another status.",
  body = "Answers 200 with another body.",
  redirect = "Sends the client elsewhere.",
  close = "Closes without a byte of answer.",
  reset = "Resets the connection.",
  garbage = "Answers with bytes that are not HTTP.",
  flood = "Answers 200 with very many bytes.",
}

--- The kinds by name, each with what it does, takes and needs besides `times` and `probability`.
---@return { kind: string, text: string, takes: table<string, string>, needs: string[] }[]
function faults.list()
  local list = {}
  for kind in pairs(faults.kinds) do
    list[#list + 1] = {
      kind = kind,
      text = texts[kind],
      takes = takes[kind] or {},
      needs = needs[kind] or {},
    }
  end
  table.sort(list, function(one, other)
    return one.kind < other.kind
  end)
  return list
end

local judged = { delay = true, drop = true, half = true, drip = true }

local points = { before = true, middle = true, after = true }

--- Whether the rules judge and remember a request that meets this fault.
---@param fault table
---@return boolean
function faults.is_judged(fault)
  return judged[fault.kind] == true
end

--- Whether the fault happens before the request's body was read.
---@param fault table
---@return boolean
function faults.is_early(fault)
  return fault.kind == "reset" and (fault.at == "before" or fault.at == "middle")
end

--- Lets a fault happen. Only in nginx's content phase, after the request was read whole unless
-- `faults.is_early`.
---@param fault table
---@param status? integer what the rules answered, when `faults.is_judged`
---@param text? string
---@return integer|nil status what to answer with; nil when there is nothing left to do
---@return string|nil text
---@return table<string, string>|nil headers
function faults.run(fault, status, text)
  return faults.kinds[fault.kind](fault, status, text)
end

local ranges = {
  status = { 200, 599, "an HTTP status from 200 to 599" },
  seconds = { 0, 3600, "seconds, at most an hour," },
  bytes = { 0, 1e12, "a number of bytes" },
  retry_after = { 0, 1e9, "seconds" },
  retry_after_date = { -1e9, 1e9, "seconds" },
}

local function problem_of_headers(headers)
  for name, value in pairs(headers) do
    if type(name) ~= "string" or (type(value) ~= "string" and type(value) ~= "number") then
      return 'the fault "status" needs texts in "headers"'
    end
  end
end

local function problem_of_value(fault, name)
  local value, range = fault[name], ranges[name]
  if name == "at" and not points[value] then
    return ("the fault %q is before, middle or after, not at %q"):format(fault.kind, value)
  elseif range and not (value >= range[1] and value <= range[2]) then
    return ("the fault %q needs %s in %q"):format(fault.kind, range[3], name)
  end
  return name == "headers" and problem_of_headers(value) or nil
end

local function problem_of_field(fault, name)
  local expected = always_taken[name] or (takes[fault.kind] or {})[name]
  if not expected then
    return ("the fault %q takes no %q"):format(fault.kind, tostring(name))
  elseif type(fault[name]) ~= expected then
    return ("the fault %q needs a %s in %q"):format(fault.kind, expected, name)
  end
  return problem_of_value(fault, name)
end

--- Checks a fault before it is used. Runs anywhere.
---@param fault any
---@return string|nil problem
function faults.problem(fault)
  if type(fault) ~= "table" then
    return "a fault must be a table"
  elseif not faults.kinds[fault.kind] then
    return ("there is no fault of the kind %q"):format(tostring(fault.kind))
  end
  for _, name in ipairs(needs[fault.kind] or {}) do
    if fault[name] == nil then
      return problem_of_field(fault, name)
    end
  end
  for name in pairs(fault) do
    local problem = problem_of_field(fault, name)
    if problem then
      return problem
    end
  end
  return nil
end

return faults
