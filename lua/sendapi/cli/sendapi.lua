#!/usr/bin/env lua5.4
-- The `sendapi` command, as it is installed. Its modules are looked for first where it was
-- installed to, which is not always where Lua looks.
local version = _VERSION:match "%d.%d"
local folder = arg[0]:match "^(.*)/[^/]*$" or "."

local function look_below(root)
  local modules = ("%s/share/lua/%s"):format(root, version)
  local file = io.open(modules .. "/sendapi/cli/init.lua")
  if file then
    file:close()
    package.path = ("%s/?.lua;%s/?/init.lua;%s"):format(modules, modules, package.path)
    package.cpath = ("%s/lib/lua/%s/?.so;%s"):format(root, version, package.cpath)
  end
end

look_below(folder .. "/..") -- by make install
look_below(folder .. "/../../../../../..") -- by LuaRocks, whose folder for it is deep down

local is_there, cli = pcall(require, "sendapi.cli")
if not is_there then
  io.stderr:write("sendapi: ", (tostring(cli):gsub(":?\n.*", "")), "\n")
  os.exit(1)
end
os.exit(cli.main(arg), true)
