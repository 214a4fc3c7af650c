--- What an outbox in a file costs, and how soon another process delivers.
local message = require "spec.bench.message"
local programs = require "spec.bench.programs"

local unpack = table.unpack or unpack

local nowhere = "http://127.0.0.1:1/realtime/sdk/source" -- nothing can be delivered there
local conversations = 64
local place = programs.build .. "/bench/outbox.db" -- on the disk of what was built

local function remove()
  for _, suffix in ipairs { "", "-wal", "-shm", "-lock" } do
    os.remove(place .. suffix)
  end
end

--- The numbers that a program prints, which makes the outbox anew.
local function numbers_of(run, ...)
  remove()
  local output, numbers = run(...), {}
  for number in output:gmatch "%S+" do
    numbers[#numbers + 1] = tonumber(number) or error(output, 0)
  end
  remove()
  return unpack(numbers)
end

--- Two functions: one measures and gives the first of two numbers, the other one gives the second
-- of the same measurements, in their order.
local function in_two(measure)
  local kept, taken = {}, 0
  local function first()
    local one, other = measure()
    kept[#kept + 1] = other
    return one
  end
  return first, function()
    taken = taken + 1
    return kept[taken]
  end
end

--- How many messages a process could store in a second that makes them, too, when it could store
-- so many made beforehand.
local function with_encoding(rate)
  return 1e9 / (programs.encode("lua5.4", "cjson") + 1e9 / rate)
end

local prefixes = 0

--- Each outbox is a new one.
local function new_prefix()
  prefixes = prefixes + 1
  return "bench" .. prefixes
end

--- Messages that are confirmed to be stored, none being delivered meanwhile.
--
-- floor    the same rows by one process in transactions of 1,000: `cjson.encode` of each message in
--          Lua, and added to it what SQLite takes to insert it (sqlite_floor.c)
-- product  asynchronous calls until every callback has run (durable.lua)
local function stored_row(durability, synchronous, budget)
  local count = 40000
  return {
    name = ("messages stored, durability %s"):format(durability),
    unit = "1/s",
    better = "higher",
    budget = budget,
    rounds = budget and 7 or 3,
    floor = function()
      local given = { "insert", place, synchronous, message.body, count, 1000 }
      return with_encoding(numbers_of(programs.compiled, "sqlite_floor", unpack(given)))
    end,
    product = function()
      local given = { nowhere, place, durability, count, conversations }
      return (numbers_of(programs.script, "durable", unpack(given)))
    end,
  }
end

--- The same in Redis, which writes and syncs its file before it answers.
--
-- floor    the same entries by one process in transactions of 1,000: `cjson.encode` of each message
--          in Lua, and added to it what Redis takes to append it (redis_floor.c)
-- product  asynchronous calls until every callback has run (durable.lua)
local function redis_row(socket)
  local count = 20000
  return {
    name = "messages stored, Redis",
    unit = "1/s",
    better = "higher",
    rounds = 3,
    floor = function()
      local given = { "redis_floor", socket, message.body, count, 1000 }
      return with_encoding(numbers_of(programs.compiled, unpack(given)))
    end,
    product = function()
      local url = ("redis+unix://%s?prefix=%s:"):format(socket, new_prefix())
      return (numbers_of(programs.script, "durable", nowhere, url, "full", count, conversations))
    end,
  }
end

--- A call until its message is stored, at 1,000 messages a second.
--
-- floor    a transaction of one row, as often (sqlite_floor.c)
-- product  the call to its callback, messages being delivered at the same time (durable_wait.lua)
local function wait_rows(url)
  local count, rate, rounds = 2000, 1000, 3
  local floor, floor_p99 = in_two(function()
    local given = { "commit", place, "FULL", message.body, count, rate }
    return numbers_of(programs.compiled, "sqlite_floor", unpack(given))
  end)
  local product, product_p99 = in_two(function()
    return numbers_of(programs.script, "durable_wait", url, place, count, rate)
  end)
  local function row(which, of_floor, of_product)
    return {
      name = ("%s of a durable call, at 1,000/s"):format(which),
      unit = "us",
      better = "lower",
      rounds = rounds,
      floor = of_floor,
      product = of_product,
    }
  end
  return row("p50", floor, product), row("p99", floor_p99, product_p99)
end

--- A full outbox, delivered.
--
-- floor    the same messages without an outbox, by the public calls (throughput.lua)
-- product  from the client's making until none is pending (drain.lua)
local function drain_row(url)
  local count = 20000
  return {
    name = "a full outbox, drained",
    unit = "1/s",
    better = "higher",
    budget = 0.7,
    rounds = 5,
    floor = function()
      return programs.throughput("client", url, count, conversations)
    end,
    product = function()
      return (numbers_of(programs.script, "drain", url, place, count, conversations))
    end,
  }
end

--- The file with its WAL, at its largest.
--
-- floor    while the first messages go through (growth.lua)
-- product  while as many again do
local function growth_row(url)
  local count = 20000
  local floor, product = in_two(function()
    return numbers_of(programs.script, "growth", url, place, count, 2)
  end)
  return {
    name = "the outbox's file, at its largest",
    unit = "bytes",
    better = "lower",
    budget = 1.0,
    extra = 1048576,
    rounds = 1,
    floor = floor,
    product = product,
  }
end

--- Another process's message, from its confirmation to its arrival.
--
-- floor    50 ms: what is promised
-- product  two processes with one file (arrival.lua)
local function arrival_rows(gateway)
  local count, rounds = 100, 2
  local p50, p99 = in_two(function()
    return numbers_of(programs.script, "arrival", gateway, place, count)
  end)
  local function row(which, product)
    return {
      name = ("%s from another's store to arrival"):format(which),
      unit = "us",
      better = "lower",
      budget = 1.0,
      rounds = rounds,
      floor = function()
        return 50000
      end,
      product = product,
    }
  end
  return row("p50", p50), row("p99", p99)
end

local function has_store(name)
  return (pcall(require, "sendapi.store." .. name))
end

local function sqlite_rows(url, gateway)
  if not has_store "sqlite" then
    return {}
  end
  local rows = {
    stored_row("full", "FULL", 0.5),
    stored_row("process", "NORMAL"),
    drain_row(url),
    growth_row(url),
  }
  rows[5], rows[6] = wait_rows(url)
  if gateway then
    rows[7], rows[8] = arrival_rows(gateway)
  end
  return rows
end

return function(url, gateway, redis)
  local rows = sqlite_rows(url, gateway)
  if redis and has_store "redis" then
    rows[#rows + 1] = redis_row(redis)
  end
  return rows
end
