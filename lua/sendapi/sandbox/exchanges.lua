--- The newest requests of both directions, with what was answered.
--
-- Pure. Bounded in number and in bytes: of a long body the beginning is kept.
local encode = require "sendapi.sandbox.encode"

local exchanges = {}

local MOST = 500
local MOST_BYTES = 16777216 -- of all bodies
local MOST_OF_BODY = 262144
local OVERHEAD = 1024 -- bytes that an exchange counts for besides its bodies

---@class sendapi.sandbox.Half
---@field body string|nil the beginning of it when `partial`
---@field bytes integer of the whole body
---@field signature string|nil
---@field headers string|table<string, string>|nil as they came, or by name
---@field partial boolean|nil

---@class sendapi.sandbox.Recorded
---@field n integer
---@field direction "in"|"out" towards the sandbox, or towards a connector
---@field at number seconds since 1970
---@field seconds number|nil
---@field source string the id
---@field action string|nil
---@field status integer|nil nil: there was no answer
---@field error string|nil why
---@field url string
---@field request sendapi.sandbox.Half
---@field answer sendapi.sandbox.Half|nil
---@field verdict { right: boolean, why: string|nil }|nil
---@field fault string|nil its kind
---@field try integer|nil

---@class sendapi.sandbox.Exchanges
---@field last integer the newest one's number
local Exchanges = {}
Exchanges.__index = Exchanges

---@param settings { limit: integer?, bytes: integer?, body: integer? }|nil
---@return sendapi.sandbox.Exchanges
function exchanges.new(settings)
  settings = settings or {}
  return setmetatable({
    first = 1,
    last = 0,
    bytes = 0,
    kept = {},
    limit = settings.limit or MOST,
    most_bytes = settings.bytes or MOST_BYTES,
    most_of_body = settings.body or MOST_OF_BODY,
  }, Exchanges)
end

local function bytes_of(half)
  return half and half.body and #half.body or 0
end

local function cost_of(recorded)
  return OVERHEAD + bytes_of(recorded.request) + bytes_of(recorded.answer)
end

--- Takes a body away that nobody may see any more; events know the exchange for longer.
local function empty(half)
  if half and half.body then
    half.body, half.headers, half.partial = nil, nil, true
  end
end

local function shorten(self, half)
  if half and bytes_of(half) > self.most_of_body then
    half.body = half.body:sub(1, self.most_of_body)
    half.partial = true
  end
end

local function drop_oldest(self)
  local oldest = self.kept[self.first]
  self.bytes = self.bytes - oldest.cost
  empty(oldest.request)
  empty(oldest.answer)
  self.kept[self.first] = nil
  self.first = self.first + 1
end

local function make_room(self)
  while
    self.first < self.last
    and (self.last - self.first >= self.limit or self.bytes > self.most_bytes)
  do
    drop_oldest(self)
  end
end

local function weigh(self, recorded)
  shorten(self, recorded.request)
  shorten(self, recorded.answer)
  recorded.cost = cost_of(recorded)
  self.bytes = self.bytes + recorded.cost
  make_room(self)
end

--- Keeps an exchange, and gives it its number.
---@param recorded table an Exchange without `n`, which becomes one; its own from here on
---@return sendapi.sandbox.Recorded
function Exchanges:add(recorded)
  self.last = self.last + 1
  recorded.n = self.last
  self.kept[recorded.n] = recorded
  weigh(self, recorded)
  return recorded
end

--- Takes into account that an exchange has an answer by now.
---@param recorded sendapi.sandbox.Recorded
---@param changes table fields that are set
function Exchanges:change(recorded, changes)
  for name, value in pairs(changes) do
    recorded[name] = value
  end
  if self.kept[recorded.n] == recorded then
    self.bytes = self.bytes - recorded.cost
    weigh(self, recorded)
  else
    empty(recorded.request)
    empty(recorded.answer)
  end
end

---@param n integer
---@return sendapi.sandbox.Recorded|nil
function Exchanges:get(n)
  return self.kept[n]
end

--- Calls `visit` with each, newest first, until it returns something.
---@generic T
---@param visit fun(recorded: sendapi.sandbox.Recorded): T|nil
---@return T|nil
function Exchanges:find(visit)
  for n = self.last, self.first, -1 do
    local found = visit(self.kept[n])
    if found then
      return found
    end
  end
end

--- Forgets all of them; numbers go on.
function Exchanges:clear()
  while self.first <= self.last do
    drop_oldest(self)
  end
end

--- A request's headers by name, of the lines in which they came.
local function headers_of(given)
  if type(given) ~= "string" then
    return given
  end
  local headers = {}
  for name, value in given:gmatch "([^\r\n:]+):[ \t]*([^\r\n]*)" do
    headers[name] = encode.utf8(value)
  end
  return headers
end

local function view_of_half(half, with_body)
  if not half then
    return nil
  end
  local view = { bytes = half.bytes, signature = half.signature }
  if with_body then
    local body, is_whole = encode.utf8(half.body or "")
    view.body = body
    view.partial = (half.partial or not is_whole) or nil
    view.headers = headers_of(half.headers)
  end
  return view
end

local PLAIN = {
  "n",
  "direction",
  "at",
  "seconds",
  "source",
  "action",
  "status",
  "error",
  "url",
  "verdict",
  "fault",
  "try",
}

--- What the interface says of an exchange.
---@param recorded sendapi.sandbox.Recorded
---@param with_bodies boolean|nil
---@return table
function exchanges.view(recorded, with_bodies)
  local view = {}
  for _, name in ipairs(PLAIN) do
    view[name] = recorded[name]
  end
  view.request = view_of_half(recorded.request, with_bodies)
  view.answer = view_of_half(recorded.answer, with_bodies)
  return view
end

--- All of them without their bodies, newest last.
---@return table[]
function Exchanges:list()
  local list = {}
  for n = self.first, self.last do
    list[#list + 1] = exchanges.view(self.kept[n])
  end
  return list
end

return exchanges
