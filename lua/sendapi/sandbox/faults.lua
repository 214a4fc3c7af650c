-- luacheck: std ngx_lua
--- Faults on demand: what a server, a proxy or a network may do to a request instead of answering
-- it as it should. The functions run in nginx's content phase, after the request was read whole.
--
-- A fault is a table with a `kind`, and what that kind takes:
--
--   delay      `seconds`                      answers late
--   drop                                      accepts the request, then closes without an answer
--   status     `status`, `text`, `headers`    answers with another status
--   body       `text`                         answers 200 with another body
--   redirect   `to`, `status` (302)           sends the client elsewhere
--   close                                     closes without a byte of answer
--   half                                      promises more bytes than it sends, then closes
--   garbage                                   answers with bytes that are not HTTP
--   flood      `bytes` (100 MB)               answers 200 with that many bytes
--
-- `delay` and `drop` happen to a request that the rules have judged and remembered; the others
-- take the place of the rules.
local faults = {}

local chunk = ("flood "):rep(10922) -- about 64 KiB

--- Ends the connection where it stands.
local function close_connection()
  return ngx.exit(444)
end

--- Sends bytes of our own making in place of an answer, then closes.
local function send_raw(bytes)
  local socket, message = ngx.req.socket(true)
  if not socket then
    error("no raw socket: " .. message)
  end
  socket:send(bytes)
  return close_connection()
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

  drop = function()
    return close_connection()
  end,

  status = function(fault)
    return fault.status, fault.text or "", fault.headers
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

  half = function()
    return send_raw "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1000\r\n\r\nok"
  end,

  garbage = function()
    return send_raw "\0\1\2\255 this is not HTTP \254\3\r\n\r\n\0"
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

local needs = {
  delay = { seconds = "number" },
  status = { status = "number" },
  redirect = { to = "string" },
}

local judged = { delay = true, drop = true }

--- Whether the rules judge and remember a request that meets this fault.
---@param fault table
---@return boolean
function faults.is_judged(fault)
  return judged[fault.kind] == true
end

--- The fault that a request meets: for now its source's, if it has one.
---@param source sendapi.sandbox.Source
---@return table|nil fault
function faults.choose(source)
  return source.fault
end

--- Lets a fault happen. Only in nginx's content phase.
---@param fault table
---@param status? integer what the rules answered, when `faults.is_judged`
---@param text? string
---@return integer|nil status what to answer with; nil when there is nothing left to do
---@return string|nil text
---@return table<string, string>|nil headers
function faults.run(fault, status, text)
  return faults.kinds[fault.kind](fault, status, text)
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
  for name, needed in pairs(needs[fault.kind] or {}) do
    if type(fault[name]) ~= needed then
      return ("the fault %q needs a %s in %q"):format(fault.kind, needed, name)
    end
  end
  return nil
end

return faults
