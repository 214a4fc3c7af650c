--- A program that sends so many messages a second in a dozen conversations through an outbox, until
-- it is killed; after some minutes it ends by itself.
--
--     sender.lua URL OUTBOX TOKEN STREAM FIRST RATE
--
-- Its ids are STREAM:NUMBER, from FIRST on; with a RATE of 0 it only delivers. It says at once, a
-- line each: an id that was confirmed; "no" and the code of a call that was not; "delivers" and
-- "delivers no more".
local url, place, token, stream, first, rate = ...
local core = require "sendapi.core"
local sendapi = require "sendapi"

local CONVERSATIONS = 12
local CONNECTIONS = 8 -- as `spec.support.judge` has them
local LIFE = 300 -- seconds

local function say(...)
  io.stdout:write(table.concat({ ... }, " ") .. "\n")
end

local client = sendapi.client("plain", token, {
  base_url = url,
  outbox = place,
  connections = CONNECTIONS,
  log = function() end,
})

local function send(number)
  local id = ("%s:%d"):format(stream, number)
  local message = {
    id = id,
    thread_id = number % CONVERSATIONS,
    body = "Awesome post !",
    author = { id = "666", created_at = 0, screenname = "John Doe" },
  }
  local accepted, why = client.messages:create(message, function(ok, err)
    if ok then
      say(id)
    else
      say("no", err.code)
    end
  end)
  if not accepted then
    say("no", why.code)
  end
end

local delivers = false
local function say_role()
  local now = client:stats().outbox.deliverer
  if now ~= delivers then
    delivers = now
    say(now and "delivers" or "delivers no more")
  end
end

io.stdout:setvbuf "no"
local began, sent = core.now(), 0
while core.now() - began < LIFE do
  while sent < (core.now() - began) * rate do
    sent = sent + 1
    send(first + sent)
  end
  client:poll { max = 1000, seconds = 0.01 }
  say_role()
  core.sleep(0.001)
end
