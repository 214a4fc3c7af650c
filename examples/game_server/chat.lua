--- The chat of a game: what 200 players say goes to Engage Digital, and no tick ever waits for it.
--
-- Half of the players say something and are told what became of it by a function. The other half
-- are coroutines: for them a call simply returns the outcome, some ticks later.
local sendapi = require "sendapi"

local PLAYERS = 200
local ROOMS = 20
local PAUSE = 120 -- ticks between two lines of a player

local client = sendapi.client(
  "8da592bc6fcf8bae41b2",
  "56e79ea426735090665b1c107c757d6d3a692c061335e4728899af27f215edf3",
  {
    runtime = "tick",
    outbox = os.getenv "SENDAPI_OUTBOX", -- a path: what is stored there counts as delivered
    log = function(level, message)
      print("log", level, message)
    end,
  }
)

local said, delivered = 0, 0

--- Says one line: at once `true` with a function; in a coroutine, the outcome.
local function say(player, text, callback)
  said = said + 1
  player.lines = player.lines + 1
  return client.messages:create({
    id = player.id .. "-" .. player.lines,
    thread_id = "room " .. player.id % ROOMS,
    author = { id = player.id, screenname = player.name, created_at = player.born },
    body = text,
  }, callback)
end

local function note(ok, err)
  if ok then
    delivered = delivered + 1
  else
    print("not delivered", err)
  end
end

--- A player that does not wait.
local function chat(player)
  local ok, err = say(player, "Anyone for a duel?", note)
  if not ok then
    note(ok, err)
  end
end

--- A player that does, and answers itself once the first line has arrived.
local function talk(player)
  while true do
    note(say(player, "Who guards the gate?"))
    note(say(player, "I do, then."))
    coroutine.yield()
  end
end

local function new_player(id)
  local player = { id = id, name = "Player " .. id, born = os.time(), lines = 0 }
  player.act = id % 2 == 0 and chat or coroutine.wrap(talk)
  return player
end

local players = {}
for id = 1, PLAYERS do
  players[id] = new_player(id)
end

local chatting = {}

--- One tick of the game: some players act, then the answers that are there are handed out.
---@param number integer
function chatting.tick(number)
  for id = number % PAUSE + 1, PLAYERS, PAUSE do
    players[id].act(players[id])
  end
  client:poll { max = 32, seconds = 0.001 }
end

--- The end of the game, the only place that may wait.
---@return integer said
---@return integer delivered
function chatting.finish()
  client:flush(5)
  client:close()
  return said, delivered
end

return chatting
