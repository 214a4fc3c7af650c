--- What wrk posts: `wrk … -s wrk.lua URL -- BODY SIGNATURE`. wrk calls `init` once.
-- luacheck: globals wrk init
function init(arguments)
  wrk.method = "POST"
  wrk.body = arguments[1]
  wrk.headers["Content-Type"] = "application/json"
  wrk.headers["X-SMCCSDK-SIGNATURE"] = arguments[2]
end
