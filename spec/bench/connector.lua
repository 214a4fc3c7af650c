--- The processor's nanoseconds for one request in this Lua: `connector.lua cjson|handle info|list`.
--
-- cjson   `cjson.decode` of the request and `cjson.encode` of a table that gives the same answer:
--         nothing verified, checked or signed
-- handle  `connector:handle`: verifies, decodes strictly, calls the handler, checks, writes, signs
--
-- Requests are `implementation.info`, and `messages.list` that 100 objects answer. The handler
-- returns the same table each time; what the collector has to do is counted.
local cjson = require "cjson"
local sendapi = require "sendapi"

local TOKEN = "3YJZzqMJ5Ec7i2JGvnt8TgvleD7dtpwpmag4S6MuRA2GQdfvV4STIsxDRJ4fEjO8"
local OBJECTS = 100

local function object(i)
  return {
    id = ("%d"):format(i),
    thread_id = "42",
    body = "Awesome post !",
    created_at = "2012-10-01T17:18:40Z",
    author = { id = "666", screenname = "John Doe", created_at = "2012-02-10T08:00:00Z" },
  }
end

local objects = {}
for i = 1, OBJECTS do
  objects[i] = object(OBJECTS + 1 - i)
end

local function list()
  return objects
end

local function found()
  return objects[1]
end

local connector = sendapi.connector(TOKEN, {
  messages = { create = found, show = found, list = list, reply = true, spam = found },
  status = true,
  typing = true,
  options = { "view.messaging", "messages.text" },
  locales = { default = { spam = "Mark as spam" } },
})

local requests = {
  info = '{"action":"implementation.info","time":"2012-10-01T17:18:40Z"}',
  list = '{"action":"messages.list","params":{"since_id":"0"},"time":"2012-10-01T17:18:40Z"}',
}
local counts = { info = 100000, list = 1500 }

local way, action = arg[1], arg[2]
local request = assert(requests[action], "usage: connector.lua cjson|handle info|list")
local signature = sendapi.sign(TOKEN, request)
local _, bytes = connector:handle(request, signature)
local answer = cjson.decode(bytes)
assert(action == "info" or #answer == OBJECTS, bytes)

local work = {}

function work.cjson()
  return cjson.decode(request), cjson.encode(answer)
end

function work.handle()
  return connector:handle(request, signature)
end

local function measure(run, count)
  local begin = os.clock()
  for _ = 1, count do
    run()
  end
  return os.clock() - begin
end

local run, count = assert(work[way]), counts[action]
measure(run, count / 5)
collectgarbage()
print(("%.1f"):format(measure(run, count) * 1e9 / count))
