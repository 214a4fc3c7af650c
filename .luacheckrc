-- "min" is what every Lua from 5.1 on has, LuaJIT too.
std = "min"
max_line_length = 100
codes = true
exclude_files = { "build" }

-- This file runs inside nginx alone.
files["lua/sendapi/sandbox/nginx.lua"] = { std = "ngx_lua" }

-- Specs pick what their Lua has, and put stand-ins into the standard library.
files["spec"] = { std = "max+busted", ignore = { "122" } }
