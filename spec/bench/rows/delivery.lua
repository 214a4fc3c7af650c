--- How fast messages are delivered.
local programs = require "spec.bench.programs"

--- Messages of 64 conversations to one nginx worker over 64 connections of HTTP/1.1.
--
-- floor    one thread in C that posts bytes signed beforehand (curl_floor.c)
-- product  every message checked, written and signed (throughput.lua), driven from Lua in two ways:
--          `core`, the engine alone, and `client`, the public calls with callbacks
local function throughput_row(way, url)
  local count, conversations = 40000, 64
  return {
    name = ("loopback throughput (%s)"):format(way),
    unit = "1/s",
    better = "higher",
    budget = 0.95,
    rounds = 7,
    floor = function()
      return programs.curl(url, count)
    end,
    product = function()
      return programs.throughput(way, url, count, conversations)
    end,
  }
end

--- Calls that wait, one at a time.
--
-- floor    curl_easy_perform in a loop in C, with one handle (easy_floor.c)
-- product  `messages:create(params)` (waiting.lua)
local function waiting_row(url)
  local count = 5000
  return {
    name = "a waiting call, one at a time",
    unit = "1/s",
    better = "higher",
    budget = 0.8,
    rounds = 7,
    floor = function()
      return programs.easy(url, count)
    end,
    product = function()
      return programs.waiting(url, count)
    end,
  }
end

--- A server that takes 50 ms for each answer: 256 conversations over 64 connections.
--
-- floor    what these connections can carry: 64 in 50 ms
-- product  the public calls with callbacks (throughput.lua)
local function distant_row(gateway)
  local connections, conversations, seconds, trips = 64, 256, 0.05, 50
  return {
    name = "50 ms round trip, 256 conversations",
    unit = "1/s",
    better = "higher",
    budget = 0.9,
    rounds = 3,
    floor = function()
      return connections / seconds
    end,
    product = function()
      local url = gateway .. "/realtime/sdk/slow"
      return programs.throughput("client", url, trips * connections, conversations)
    end,
  }
end

return function(url, gateway)
  return {
    throughput_row("core", url),
    throughput_row("client", url),
    waiting_row(url),
    gateway and distant_row(gateway),
  }
end
