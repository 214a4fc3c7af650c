--- A program of little memory, which is collected again and again while messages are written:
--
--     lua spec/hosts/finalizers.lua CASE
--
-- The collector may run a finalizer wherever memory is asked for, so within a message as well. It
-- says when the case is done, and fails otherwise.
package.path = "./?.lua;" .. package.path

local encoding = require "spec.support.encoding"
local sendapi = require "sendapi"

local bytes, message = encoding.bytes, encoding.message
local extra_fields = { extra_fields = true }
local slow = os.getenv "SENDAPI_SLOW"

--- Garbage that calls a function when it is collected.
local function litter(finalize)
  if newproxy then
    getmetatable(newproxy(true)).__gc = finalize
  else
    setmetatable({}, { __gc = finalize })
  end
end

--- A message whose every part asks for memory.
local function demanding_message()
  local context, tree = {}, {}
  for i = 1, 60 do
    context["key" .. i .. ("k"):rep(60)] = { "value" .. i, "w" }
    tree["branch" .. i] = { ["leaf" .. ("l"):rep(60)] = { i } }
  end
  return message { context_data = context, tree = tree }
end

--- A finalizer that writes and checks a request of its own, and counts what is wrong. Within
-- another message it comes again and again, as long as `counts` has room.
local function writer(counts)
  local status = encoding.schema "status.mark_as_read"
  local expected = bytes("status.mark_as_read", { id = "within" })
  local function finalize()
    local is_right = status:encode { id = "within" } == expected
    local _, problems = status:validate { id = "1", unknown = 1 }
    counts.wrong = counts.wrong + (is_right and #problems == 1 and 0 or 1)
    if counts.room > 0 then
      counts.room = counts.room - 1
      counts.within = counts.within + 1
      litter(finalize)
    end
  end
  return finalize
end

--- Garbage of another size each time, and after some hundred times in another number, so that the
-- collector is elsewhere: it may fall into step with rounds that are alike, and stay so.
local function litter_differently(round, finalize)
  local _ = ("s"):rep(round % 101 * (1 + math.floor(round / 500) % 7))
  for _ = 1, 5 + math.floor(round / 300) % 11 do
    litter(finalize)
  end
end

--- Writes and checks a message again and again, while finalizers do the same with others: until so
-- many came within it.
local function check_undisturbed(params, wanted)
  local schema = encoding.schema("messages.create", extra_fields)
  local expected = schema:encode(params)
  local counts = { within = 0, wrong = 0, room = 0 }
  local finalize = writer(counts)
  for round = 1, 100000 do
    litter_differently(round, finalize)
    counts.room = 50
    local written = schema:encode(params)
    counts.room = 0
    counts.wrong = counts.wrong + (written == expected and 0 or 1)
    counts.wrong = counts.wrong + (schema:validate(params) and 0 or 1)
    if counts.within >= wanted then
      break
    end
  end
  assert(counts.within >= wanted, "too few finalizers ran within a message")
  assert(counts.wrong == 0, counts.wrong .. " were wrong")
end

local cases = {}

function cases.write_within()
  check_undisturbed(demanding_message(), slow and 300 or 3000)
end

-- Here it is only the finished text that asks for memory.
function cases.write_at_the_end()
  check_undisturbed(message { body = ("b"):rep(100) }, slow and 30 or 300)
  check_undisturbed(message { body = ("b"):rep(100000) }, slow and 30 or 300)
end

function cases.come_again()
  local status = encoding.schema "status.mark_as_read"
  local limit = slow and 500 or 2000
  local finalized = 0
  local function finalize()
    finalized = finalized + 1
    status:encode { id = "within" }
    if finalized < limit then
      litter(finalize)
    end
  end
  local params = demanding_message()
  collectgarbage()
  litter(finalize)
  local written = encoding.encode("messages.create", params, extra_fields)
  local within = finalized
  finalized = limit
  assert(type(written) == "string", "nothing was written")
  assert(within < limit, "the message came last")
end

function cases.close_client()
  for _ = 1, slow and 5 or 30 do
    local client = sendapi.client("1", "token", {
      base_url = "http://127.0.0.1:1", -- nothing may listen there
      retry = false,
      extra_fields = true,
    })
    for _ = 1, 10 do
      litter(function()
        client:close()
      end)
    end
    local _, err = client:send("messages.create", demanding_message())
    assert(err.code == "closed" or err.code == "connection_refused", tostring(err))
    client:close()
  end
end

--- Empties what is being written, and collects what was in it: the names, too, are gone for good.
local function taker()
  local collecting = false
  return function(params)
    for _, part in ipairs { params.context_data, params.tree } do
      for name in pairs(part) do
        part[name] = nil
      end
    end
    if not collecting then
      collecting = true
      collectgarbage()
      collecting = false
    end
  end
end

function cases.take_away()
  local schema = encoding.schema("messages.create", extra_fields)
  local empty = taker()
  for _ = 1, slow and 10 or 100 do
    local params = demanding_message()
    for _ = 1, 10 do
      litter(function()
        empty(params)
      end)
    end
    pcall(schema.encode, schema, params) -- any outcome but a crash
    pcall(schema.validate, schema, params)
  end
  collectgarbage()
  local params = demanding_message()
  assert(schema:encode(params) == schema:encode(params), "what is whole is written differently")
end

local name = ...
local case = assert(cases[name], "no such case")
collectgarbage("setpause", 1)
collectgarbage("setstepmul", 400)
case()
print(name .. " is done")
