--- A sandbox for specs: started with usual sources, asked by curl, its processes looked at.
local curl = require "spec.support.curl"
local host = require "sendapi.sandbox.host"
local openssl = require "spec.support.openssl"
local send_api = require "spec.support.send_api"
local shell = require "spec.support.shell"

local sandbox = {}

--- One source for each kind of fault.
sandbox.faults = {
  late = { kind = "delay", seconds = 1 },
  dropping = { kind = "drop" },
  busy = { kind = "status", status = 503, text = "Down", headers = { ["Retry-After"] = "7" } },
  speaking = { kind = "body", text = "<html>fine</html>" },
  moved = { kind = "redirect", to = "http://127.0.0.1:1/elsewhere", status = 307 },
  moved_by_default = { kind = "redirect", to = "/elsewhere" },
  closing = { kind = "close" },
  halving = { kind = "half" },
  babbling = { kind = "garbage" },
  flooding = { kind = "flood", bytes = 3000001 },
}

--- The source "plain", and those of `faults`; all with the token of `send_api`.
function sandbox.sources()
  local sources = { plain = { token = send_api.token } }
  for id, fault in pairs(sandbox.faults) do
    sources[id] = { token = send_api.token, fault = fault }
  end
  return sources
end

--- Starts one, by default with `sources`.
---@param options? table as for `host.start`
function sandbox.start(options)
  options = options or {}
  options.sources = options.sources or sandbox.sources()
  return assert(host.start(options))
end

function sandbox.signed_header(body, token)
  return "X-SMCCSDK-SIGNATURE: " .. openssl.sign(token or send_api.token, body)
end

--- Posts a signed body to a source.
---@param running sendapi.sandbox.Host
---@param base? string url; HTTP by default
---@param extra? string more arguments for curl
---@return spec.Answer
function sandbox.post(running, source_id, body, base, extra)
  return curl.post((base or running.http) .. "/realtime/sdk/" .. source_id, body, {
    headers = { sandbox.signed_header(body) },
    ca_file = running.ca_file,
    extra = extra,
  })
end

--- Every process as the system lists it: pid -> state (a letter) and parent.
local function read_processes()
  local processes = {}
  for line in shell.run("cat /proc/[0-9]*/stat").output:gmatch "[^\n]+" do
    local pid, state, parent = line:match "^(%d+) .*%) (%a) (%d+)"
    if pid then
      processes[tonumber(pid)] = { state = state, parent = tonumber(parent) }
    end
  end
  return processes
end

local function find_child(parent)
  for pid, process in pairs(read_processes()) do
    if process.parent == parent then
      return pid
    end
  end
  return nil
end

--- The ids of nginx's master process and its worker, which is there a moment later than the ports.
---@param directory string the sandbox's
---@return integer[]
function sandbox.process_ids(directory)
  local master = tonumber(shell.read_file(directory .. "/nginx.pid"))
  local worker = shell.wait_until(function()
    return find_child(master)
  end, 20)
  return { master, worker or error "nginx has no worker" }
end

--- Whether none of these processes runs; those that only wait to be collected do not.
---@param pids integer[]
---@return boolean
function sandbox.are_gone(pids)
  local processes = read_processes()
  for _, pid in ipairs(pids) do
    if processes[pid] and processes[pid].state ~= "Z" then
      return false
    end
  end
  return true
end

return sandbox
