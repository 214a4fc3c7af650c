--- For wrk: each connection asks, then waits for a while, so that the server is not at its limit.
-- luacheck: globals delay
function delay()
  return 4 -- milliseconds
end
