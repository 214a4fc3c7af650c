--- The processor's nanoseconds for one message in this Lua: `encode.lua cjson` or `… core`.
--
-- cjson  `cjson.encode { action = …, params = … }`: one Lua string, nothing checked or signed
-- core   `schema:encode(params, signer)`: checks, writes and signs, and makes two Lua strings (the
--        body, the hex) that a program which sends never makes
--
-- Both take the same table, made beforehand; what the collector has to do for them is counted.
local cjson = require "cjson"
local message = require "spec.bench.message"

local warm_up, measured = 20000, 150000

local params = message.params()
local schema, signer = message.schema, message.signer
local request = { action = message.action, params = params }

local work = {}

function work.cjson()
  return cjson.encode(request)
end

function work.core()
  return schema:encode(params, signer)
end

local function measure(run, count)
  local begin = os.clock()
  for _ = 1, count do
    run()
  end
  return os.clock() - begin
end

local run = assert(work[arg[1]], "usage: encode.lua cjson|core")
measure(run, warm_up)
collectgarbage()
print(("%.1f"):format(measure(run, measured) * 1e9 / measured))
