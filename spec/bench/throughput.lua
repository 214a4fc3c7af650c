--- Messages per second through the engine: `throughput.lua URL COUNT`.
--
-- 64 conversations, each with one message under way: whenever an answer is taken, the next message
-- of its conversation is checked, written, signed and submitted. Every one has to be delivered.
local core = require "sendapi.core"
local message = require "spec.bench.message"

local at_once = 64

local function open_endpoint(engine, url)
  return engine:open {
    url = url,
    user_agent = "sendapi",
    timeout = 30,
    connect_timeout = 5,
    connections = at_once,
    max_pending = 10000,
    max_pending_bytes = 268435456,
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

--- Sends one message of each conversation, then another for every answer, `count` in all.
local function send_all(engine, endpoint, conversations, count)
  local schema, signer = message.schema, message.signer
  local params_of = {} -- by ticket
  local function submit(params)
    local ticket, problem = engine:submit(endpoint, signer, schema, params)
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
end

local function new_conversations()
  local conversations = {}
  for i = 1, at_once do
    conversations[i] = message.params(tostring(i))
  end
  return conversations
end

local url, count = arg[1], tonumber(arg[2])
local engine = core.engine()
local endpoint = open_endpoint(engine, url)
local conversations = new_conversations()
local begin = core.now()
send_all(engine, endpoint, conversations, count)
print(("%.1f"):format(count / (core.now() - begin)))
endpoint:close()
