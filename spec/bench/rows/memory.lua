--- What messages hold in memory, and what a large one costs.
local message = require "spec.bench.message"
local programs = require "spec.bench.programs"

--- Messages to a source that never answers.
--
-- floor    the body, its conversation's key having six bytes
-- product  by how much the process grows for one message, with all that Lua keeps for it
--          (pending.lua)
local function pending_row(title, conversations, gateway)
  return {
    name = ("a pending message, %s"):format(title),
    unit = "bytes",
    better = "lower",
    budget = 1.0,
    extra = 512,
    rounds = 3,
    floor = function()
      return #message.schema:encode(message.params "000042")
    end,
    product = function()
      return programs.pending(gateway .. "/realtime/sdk/never", 100000, conversations)
    end,
  }
end

--- A file in a message, read, checked, encoded, signed and delivered.
--
-- floor    base64 and HMAC-SHA512 of as much in C, the bytes being in memory (file_floor.c)
-- product  the processor's time of the whole process for the call, the I/O thread's sending too
local function attachment_time_row(url)
  return {
    name = "15 MB attachment: processor",
    unit = "us",
    better = "lower",
    budget = 1.3,
    rounds = 7,
    floor = function()
      return (programs.file())
    end,
    product = function()
      return (programs.attachment(url))
    end,
  }
end

--- floor    the file's bytes in base64, nearly all of the request's body
-- product  the most by which the process grew beyond what it had before the call
local function attachment_memory_row(url)
  return {
    name = "15 MB attachment: peak memory",
    unit = "bytes",
    better = "lower",
    budget = 1.25,
    extra = 8388608,
    rounds = 3,
    floor = function()
      return (select(2, programs.file()))
    end,
    product = function()
      return (select(3, programs.attachment(url)))
    end,
  }
end

return function(url, gateway)
  return {
    gateway and pending_row("1,000 conversations", 1000, gateway),
    gateway and pending_row("each a conversation", 100000, gateway),
    attachment_time_row(url),
    attachment_memory_row(url),
  }
end
