--- Messages per second: `throughput.lua core|client URL COUNT CONVERSATIONS`.
--
-- Each conversation has one message under way: whenever an answer is there, the next message of its
-- conversation is checked, written, signed and submitted. Every one has to be delivered.
--
-- core    the engine, driven from Lua: what its answers cost without the library's Lua
-- client  `client.messages:create(params, callback)`: what a program calls
local clients = require "spec.bench.client"
local core = require "sendapi.core"
local message = require "spec.bench.message"

local at_once, deadline = 64, 60

local send_all = {}

local function open_endpoint(engine, url)
  return engine:open {
    url = url,
    user_agent = "sendapi",
    timeout = 30,
    connect_timeout = 5,
    connections = at_once,
    max_pending = 10000,
    max_pending_bytes = 268435456,
    attempts = 1,
    first = 0,
    longest = 0,
  }
end

--- The ticket of the next answer, which has to be good.
local function await(engine)
  local ticket, failure = engine:take()
  while not ticket do
    engine:wait(1)
    ticket, failure = engine:take()
  end
  return failure and error(failure.message) or ticket
end

function send_all.core(url, conversations, count)
  local engine = core.engine()
  local endpoint = open_endpoint(engine, url)
  local schema, signer = message.schema, message.signer
  local params_of = {} -- by ticket
  local function submit(params)
    local lane = params.thread_id
    local ticket, problem = engine:submit(endpoint, signer, schema, params, lane, deadline)
    params_of[ticket or error(problem.message)] = params
  end
  for _, params in ipairs(conversations) do
    submit(params)
  end
  for answered = 1, count do
    local ticket = await(engine)
    if answered + #conversations <= count then
      submit(params_of[ticket])
    end
    params_of[ticket] = nil
  end
  endpoint:close()
end

function send_all.client(url, conversations, count)
  local delivered, left = 0, count
  local client = clients.open(url, { connections = at_once })
  local function go_on(params)
    left = left - 1
    clients.check(client.messages:create(params, function(ok, err)
      delivered = delivered + (ok and 1 or error(tostring(err)))
      if left > 0 then
        go_on(params)
      end
    end))
  end
  for _, params in ipairs(conversations) do
    go_on(params)
  end
  assert(client:flush())
  assert(delivered == count, "not every message was delivered")
end

local function new_conversations(count)
  local conversations = {}
  for i = 1, count do
    conversations[i] = message.params(tostring(i))
  end
  return conversations
end

local way, url, count = arg[1], arg[2], tonumber(arg[3])
local conversations = new_conversations(tonumber(arg[4]))
local begin = core.now()
send_all[way](url, conversations, count)
print(("%.1f"):format(count / (core.now() - begin)))
