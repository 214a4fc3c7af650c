--- Measures every row, prints a table and writes bench.json beside what was built. Run it in the
-- checkout's root, by `make bench`. A budget that does not hold is said, not an error.
package.path = "./?.lua;" .. package.path

local harness = require "spec.bench.harness"
local nginx = require "spec.bench.nginx"
local programs = require "spec.bench.programs"
local redis = require "spec.bench.redis"
local rows_for = require "spec.bench.rows"

local function measure_all(rows)
  local results = {}
  print(harness.line())
  for i, row in ipairs(rows) do
    results[i] = harness.measure(row)
    print(harness.line(results[i]))
  end
  return results
end

local function write_json(results)
  local file = assert(io.open(programs.build .. "/bench.json", "w"))
  file:write(harness.json(results))
  file:close()
end

local function run(url, gateway, socket)
  if not gateway then
    print "nginx's Lua module was not found: the rows that need it are left out"
  end
  local results = measure_all(rows_for(url, gateway, socket))
  local limit = programs.wrk(url)
  print(("physical limit (wrk on the same nginx): %s"):format(
    limit and ("%.0f 1/s"):format(limit) or "wrk was not found"
  ))
  write_json(results)
end

io.stdout:setvbuf "line"
print(programs.machine())
nginx.serve(function(url)
  nginx.serve_gateway(url, programs.build, function(gateway)
    redis.serve(function(socket)
      run(url, gateway, socket)
    end)
  end)
end)
