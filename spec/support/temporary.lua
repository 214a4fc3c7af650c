--- Directories that live as long as a spec needs them.
local shell = require "spec.support.shell"

---@class spec.Temporary
---@field path string
local Temporary = {}
Temporary.__index = Temporary

local temporary = {}

---@return spec.Temporary
function temporary.directory()
  local made = shell.run "mktemp -d"
  assert(made.status == 0, made.errors)
  return setmetatable({ path = made.output:match "^(.-)\n$" }, Temporary)
end

--- The path of a file that may be there or not.
function Temporary:path_of(name)
  return self.path .. "/" .. name
end

--- Writes a file and returns its path.
function Temporary:write(name, content)
  local path = self:path_of(name)
  shell.write_file(path, content)
  return path
end

function Temporary:remove()
  shell.run("rm -rf " .. shell.quote(self.path))
end

return temporary
