-- luacheck: std ngx_lua
--- Looks after the process that has started the sandbox, which ends with it.
local ffi = require "ffi"

ffi.cdef [[
int kill(int pid, int signal);
int getppid(void);
int getpid(void);
]]

local signal_terminate = 15
local error_permission = 1

local owner = {}

--- The state of a process and when it began, where the system tells.
local function read_process(pid)
  local file = io.open("/proc/" .. pid .. "/stat")
  if not file then
    return nil
  end
  local line = file:read "*l" or ""
  file:close()
  return line:match("^.*%) (%a)" .. (" %-?%d+"):rep(18) .. " (%d+)")
end

--- Whether a process has ended: it is not there, waits to be collected by its parent, or another
-- one, begun at another time, has got its number.
local function is_gone(pid, began)
  if ffi.C.kill(pid, 0) ~= 0 and ffi.errno() ~= error_permission then
    return true
  end
  local state, begins = read_process(pid)
  return state == "Z" or state == "X" or (began and begins and began ~= begins)
end

local function remove_directory()
  local directory = ngx.config.prefix()
  if directory:find "/sendapi%-sandbox%.%w+/$" then
    os.execute("rm -rf -- '" .. directory:gsub("'", "'\\''") .. "'")
  end
end

--- Ends the sandbox when nobody else is left to do so: its owner or nginx's master process has
-- died, or the directory is gone.
local function end_if_abandoned(pid, began, master, journal)
  local is_master_gone = ffi.C.getppid() ~= master
  local file = io.open(journal)
  if file then
    file:close()
    if not is_master_gone and not is_gone(pid, began) then
      return
    end
    remove_directory()
  end
  if not is_master_gone then
    ffi.C.kill(master, signal_terminate)
  end
  ffi.C.kill(ffi.C.getpid(), signal_terminate)
end

local function write_process_id()
  local file = assert(io.open(ngx.config.prefix() .. "worker.pid", "w"))
  file:write(("%d\n"):format(ffi.C.getpid()))
  file:close()
end

--- Looks after the owner, once a second. To be called in `init_worker_by_lua`.
---@param pid integer of the owner's process
---@param journal string a file that is there as long as the directory is
function owner.watch(pid, journal)
  write_process_id()
  local master = ffi.C.getppid()
  local _, began = read_process(pid)
  local ok, message = ngx.timer.every(1, function(is_premature)
    if not is_premature then
      end_if_abandoned(pid, began, master, journal)
    end
  end)
  if not ok then
    error(message)
  end
end

return owner
