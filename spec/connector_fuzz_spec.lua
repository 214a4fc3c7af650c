-- Requests gone wrong by chance, from a fixed seed: `handle` answers each of them by the rules, and
-- calls handlers only for what is in order. What is in order is said by a reader of its own.
local generators = require "spec.support.generator"
local sendapi = require "sendapi"
local strict_json = require "spec.support.strict_json"
local support = require "spec.support.connector"

local ROUNDS, SECONDS = 6000, 30 -- whichever ends first
local TOKEN = support.TOKEN

local SEEDS = {
  support.body "implementation.info",
  support.body("messages.list", { since_id = "42" }),
  support.body("messages.list", "null"),
  support.body("messages.show", '{"id":42,"list":[1,{"a":[]},0.5e-3]}'),
  support.body("messages.delete", '{"id":"a\\u00e9\\ud83d\\ude00\\"\\\\"}'),
  support.body("messages.spam", '{"id":"é","user_id":"7"}'),
  support.body(
    "messages.create",
    '{"author_id":"1","body":"Hi \\n there","content_id":"5","retry":false,"title":null,'
      .. '"attachments":[{"url":"http://a/b","type":"image","filename":"c"}]}'
  ),
  support.body("messaging.queuing_update", '{"position":3,"estimated_wait_time":60}'),
  ' {\n"action" : "messages.show" ,\t"params":\r{ "id" : -0 } } ',
  support.body("messages.reply", { id = "1" }),
  support.body("typing.start", { thread_id = "1" }),
}

-- What is put in somewhere, or in something's place.
local PIECES = {
  "\0",
  "\1",
  "\31",
  "\127",
  "\255",
  "\192\175",
  "\237\160\128",
  "\244\144\128\128",
  "\195\169",
  "\240\159\152\128",
  "\t",
  "\n",
  " ",
  '"',
  "\\",
  '\\"',
  "\\u0000",
  "\\ud800",
  "\\udc00",
  "\\ud83d\\ude00",
  "\\u00",
  "\\x",
  "/*",
  "{",
  "}",
  "[",
  "]",
  ":",
  ",",
  "{}",
  "[]",
  "null",
  "true",
  "false",
  "nul",
  "NaN",
  "Infinity",
  "-",
  "+1",
  "0",
  "01",
  "1.",
  ".5",
  "-.5",
  "0x1",
  "1e999",
  "-1e999",
  "1e-999",
  "1E+5",
  "1e",
  "12345678901234567890",
  '"id":"1",',
  '"id":null,',
  '"a":1,',
  '"action":"messages.list",',
  '"params":{},',
  '"params":[],',
  ("["):rep(70),
  ('{"":'):rep(70) .. "0" .. ("}"):rep(70),
}

local function random_place(generator, text)
  return generator:below(#text + 1)
end

local mutations = {
  function(generator, text) -- puts something in
    local place = random_place(generator, text)
    return text:sub(1, place) .. generator:one_of(PIECES) .. text:sub(place + 1)
  end,
  function(generator, text) -- changes a byte
    local place = random_place(generator, text)
    return text:sub(1, place) .. string.char(generator:below(256)) .. text:sub(place + 2)
  end,
  function(generator, text) -- leaves something out
    local place = random_place(generator, text)
    return text:sub(1, place) .. text:sub(place + 2 + generator:below(8))
  end,
  function(generator, text) -- cuts the end off
    return text:sub(1, random_place(generator, text))
  end,
  function(generator, text) -- says something twice
    local place = random_place(generator, text)
    return text:sub(1, place + generator:below(30)) .. text:sub(place + 1)
  end,
  function(generator, text) -- puts something into a value's place
    local place, count = generator:below(8), 0
    return (
      text:gsub(':%s*("[^"]*")', function()
        count = count + 1
        return count == place and ":" .. generator:one_of(PIECES) or nil
      end)
    )
  end,
  function(generator, text) -- changes letters, which mostly leaves it in order
    local name = generator:one_of { "id", "params", "since_id", "time", "spam", "show", "list" }
    return (text:gsub(name, generator:one_of { "id", "body", "since_id", "show" }))
  end,
}

local function mutated(generator, text)
  for _ = 1, generator:below(3) do
    text = generator:one_of(mutations)(generator, text)
  end
  return text
end

local NEEDS_ID = { ["messages.show"] = true, ["messages.delete"] = true, ["messages.spam"] = true }
local KNOWN = {
  ["implementation.info"] = true,
  ["messages.list"] = true,
  ["messages.create"] = true,
  ["messaging.queuing_update"] = true,
}
for name in pairs(NEEDS_ID) do
  KNOWN[name] = true
end

local function is_text_or_number(value)
  return value ~= nil and (value.kind == "string" or value.kind == "number")
end

local function is_resource_fine(action, params)
  if NEEDS_ID[action] then
    return is_text_or_number(params.id) and params.id.value ~= ""
  elseif action == "messages.list" then
    local since_id = params.since_id
    return since_id == nil or since_id.kind == "null" or is_text_or_number(since_id)
  end
  return true
end

--- The members of params; nil when they are neither absent nor an object. An empty array counts as
-- an empty object.
local function members_of(params)
  if params == nil or params.kind == "null" then
    return {}
  elseif params.kind == "array" and #params.items == 0 then
    return {}
  end
  return params.members
end

--- The status that bytes which are rightly signed must have.
local function expected_status(bytes)
  local request = strict_json.read(bytes)
  if not request then
    return 400, "Bad request"
  end
  local members = request.members or {}
  local action = members.action
  local params = members_of(members.params)
  if not action or action.kind ~= "string" or not params then
    return 400, "Invalid request format"
  elseif not KNOWN[action.value] then
    return 422, "Invalid action"
  elseif not is_resource_fine(action.value, params) then
    return 422, "Invalid resource format"
  end
  return 200, action.value
end

describe("requests gone wrong by chance", function()
  local calls, connector

  before_each(function()
    calls = {}
    local function noting(answer)
      return function(_, request)
        calls[#calls + 1] = request.action
        return answer
      end
    end
    connector = support.new {
      messages = {
        list = noting { support.message "1" },
        show = noting(support.message "1"),
        delete = noting(support.message "1"),
        spam = noting(support.message "1"),
        create = noting { id = "1" },
        reply = true,
      },
      messaging = { queuing_update = noting() },
      typing = true,
      store = false,
    }
  end)

  --- Does something to many requests; true when there were enough for it to mean anything.
  local function many(seed, try)
    local generator = generators.new(seed)
    local begin, round = os.clock(), 0
    while round < ROUNDS and os.clock() - begin < SECONDS do
      local original = generator:one_of(SEEDS)
      try(original, mutated(generator, original))
      round = round + 1
    end
    return round
  end

  it("are answered by the rules when they are signed afterwards", function()
    local seen = {}
    local rounds = many(11, function(_, bytes)
      calls = {}
      local status, answer = support.send(connector, bytes)
      local expected, text = expected_status(bytes)
      if status ~= expected or (expected ~= 200 and answer ~= text) then
        error(("%d %s, not %d %s: %q"):format(status, answer, expected, text, bytes))
      end
      local is_handled = expected == 200 and text ~= "implementation.info"
      assert.are.same(is_handled and { text } or {}, calls)
      seen[text] = (seen[text] or 0) + 1
    end)
    assert.is_true(rounds > 100)
    if rounds == ROUNDS then
      for _, text in ipairs {
        "Bad request",
        "Invalid request format",
        "Invalid action",
        "Invalid resource format",
        "implementation.info",
        "messages.list",
        "messages.show",
        "messages.delete",
        "messages.spam",
        "messages.create",
        "messaging.queuing_update",
      } do
        assert.is_true((seen[text] or 0) >= 10, text)
      end
    end
  end)

  it("are refused when they were signed before", function()
    local refused = 0
    many(12, function(original, bytes)
      if bytes ~= original then
        local status, answer = connector:handle(bytes, sendapi.sign(TOKEN, original))
        assert.are.equal(403, status)
        assert.are.equal("Invalid signature", answer)
        refused = refused + 1
      end
    end)
    assert.are.same({}, calls)
    assert.is_true(refused > 100)
  end)

  it("are refused when the signature went wrong", function()
    local generator = generators.new(13)
    local refused = 0
    for _ = 1, 2000 do
      local bytes = generator:one_of(SEEDS)
      local right = sendapi.sign(TOKEN, bytes)
      local wrong = mutated(generator, right)
      if wrong:lower() ~= right then
        local header, query = wrong, nil
        if generator:once_in(2) then
          header, query = nil, wrong
        end
        assert.are.equal(403, (connector:handle(bytes, header, query)))
        refused = refused + 1
      end
    end
    assert.are.same({}, calls)
    assert.is_true(refused > 1000)
  end)
end)
