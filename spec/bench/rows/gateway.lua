--- The library in an nginx worker (gateway.lua); the server that it sends to is another nginx.
local programs = require "spec.bench.programs"

--- One message for each request of 64 connections.
--
-- floor    the location that sends by ngx.socket.tcp, with a pool of 64 connections, what cjson
--          wrote and OpenSSL signed
-- product  the location that calls `messages:create(params)`
local function gateway_row(gateway)
  return {
    name = "nginx gateway, one message per request",
    unit = "1/s",
    better = "higher",
    budget = 1.5,
    rounds = 3,
    floor = function()
      return programs.ask(gateway .. "/by_hand")
    end,
    product = function()
      return programs.ask(gateway .. "/send")
    end,
  }
end

--- Nanoseconds of the worker's own thread for one request: while it runs, other requests wait.
local function worker_time(gateway, path)
  local sent, nanoseconds = programs.set_load(gateway, 0)
  programs.ask(gateway .. path)
  local sent_then, nanoseconds_then = programs.set_load(gateway, 0)
  return (nanoseconds_then - nanoseconds) / (sent_then - sent)
end

--- The same two locations, by the time that they take of nginx's event loop. What the engine's
-- thread adds on another core is not in it.
local function worker_row(gateway)
  return {
    name = "nginx gateway, the worker's time",
    unit = "ns",
    better = "lower",
    rounds = 2,
    floor = function()
      return worker_time(gateway, "/by_hand")
    end,
    product = function()
      return worker_time(gateway, "/send")
    end,
  }
end

--- What one request in a hundred of the same worker waits at least: other requests, some 1,900 a
-- second.
--
-- floor    while nothing is sent
-- product  while 1,000 messages a second are sent
local function others_row(gateway)
  local rate = 1000
  return {
    name = "p99 of other requests, at 1,000 messages/s",
    unit = "us",
    better = "lower",
    rounds = 3,
    floor = function()
      return programs.p99(gateway .. "/other")
    end,
    product = function()
      local before = programs.set_load(gateway, rate)
      local p99 = programs.p99(gateway .. "/other")
      local sent = programs.set_load(gateway, 0) - before
      assert(sent > rate, "the messages were not sent at that rate")
      return p99
    end,
  }
end

return function(gateway)
  if not gateway then
    return {}
  end
  return { gateway_row(gateway), worker_row(gateway), others_row(gateway) }
end
