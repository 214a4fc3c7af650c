-- "min" is what every Lua from 5.1 on has, LuaJIT too.
std = "min"
max_line_length = 100
codes = true
exclude_files = { "build" }

-- The first runs inside nginx alone, the other may.
files["lua/sendapi/sandbox/nginx.lua"] = { std = "ngx_lua" }
files["examples/connector/realtime_only.lua"] = { globals = { "ngx" } }

-- Specs pick what their Lua has, and put stand-ins into the standard library.
files["spec"] = { std = "max+busted", ignore = { "122" } }
