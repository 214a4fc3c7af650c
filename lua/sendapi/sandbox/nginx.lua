-- luacheck: std ngx_lua
--- The sandbox inside nginx: reads requests, asks the rules, remembers, answers.
--
-- One worker, so that what is known of a source is known in one place. Signatures are made by
-- OpenSSL, through LuaJIT's FFI: the client is checked by code that is not its own.
local cjson = require "cjson"
local ffi = require "ffi"
local faults = require "sendapi.sandbox.faults"
local plan = require "sendapi.sandbox.plan"
local rules = require "sendapi.sandbox.rules"

ffi.cdef [[
const void *EVP_sha512(void);
unsigned char *HMAC(const void *digest, const void *key, int key_length,
                    const unsigned char *data, size_t length,
                    unsigned char *result, unsigned int *result_length);
int kill(int pid, int signal);
int getppid(void);
int getpid(void);
]]

local journal_name = "received.jsonl"
local plan_name, changed_plan_name = "plan.json", "plan.changed"
local remembered_bytes = 1048576
local signal_terminate = 15
local error_permission = 1

local nginx = {}

local sources, journal, plan_path, changed_plan_path
local common_plan -- for all sources; nil: each has its own, or none
local source_plans = {}
local met_by_id = {} -- see `plan.of_request`

--- OpenSSL's functions: nginx itself is linked with them, unless it was built in another way.
local function find_openssl()
  for _, name in ipairs { false, "crypto", "libcrypto.so.3", "libcrypto.so.1.1" } do
    local is_loaded, library = pcall(function()
      local candidate = name and ffi.load(name) or ffi.C
      return candidate.HMAC and candidate.EVP_sha512 and candidate
    end)
    if is_loaded then
      return library
    end
  end
  error "OpenSSL's HMAC was not found"
end

local openssl = find_openssl()
local digest_bytes = 64
local digest = ffi.new("unsigned char[?]", digest_bytes)

local hex_pairs = {}
for byte = 0, 255 do
  hex_pairs[byte] = ("%02x"):format(byte)
end

local function sign(token, body)
  openssl.HMAC(openssl.EVP_sha512(), token, #token, body, #body, digest, nil)
  local pairs_of_digest = {}
  for index = 1, digest_bytes do
    pairs_of_digest[index] = hex_pairs[digest[index - 1]]
  end
  return table.concat(pairs_of_digest)
end

local function read_file(path)
  local file, message = io.open(path, "rb")
  if not file then
    error(message)
  end
  local content = file:read "*a"
  file:close()
  return content
end

--- The exact bytes of the request's body, also when nginx has put them into a file.
local function read_body()
  ngx.req.read_body()
  local body = ngx.req.get_body_data()
  local path = not body and ngx.req.get_body_file()
  return body or (path and read_file(path)) or ""
end

--- The header, or the query parameter where a proxy has taken the header away.
local function read_signature()
  local header = ngx.var.http_x_smccsdk_signature
  if header and header ~= "" then
    return header
  end
  return ngx.var.arg_signature
end

--- Asks the rules, and lets what was accepted count for the requests after it.
local function judge(source, entry, body)
  local context = { now = entry.at, sign = sign }
  local request
  entry.status, entry.text, request =
    rules.answer(sources, entry.source_id, body, entry.signature, context)
  if request then
    entry.action, entry.params = request.action, request.params
  end
  if entry.status == 200 then
    rules.remember(source, request, entry.at)
  end
end

--- Writes one line. What JSON cannot write again, such as 1e999, stands in `body` alone.
local function remember(entry)
  local is_encoded, line = pcall(cjson.encode, entry)
  if not is_encoded then
    entry.params = nil
    line = cjson.encode(entry)
  end
  local ok, message = journal:write(line, "\n")
  if ok then
    ok, message = journal:flush()
  end
  if not ok then
    ngx.log(ngx.ERR, journal_name, ": ", message)
  end
end

local function answer(status, text, headers)
  ngx.status = status
  ngx.header["Content-Type"] = "text/plain"
  ngx.header["Content-Length"] = #text
  for name, value in pairs(headers or {}) do
    ngx.header[name] = value
  end
  ngx.print(text)
end

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
local function end_if_abandoned(owner, owner_began, master)
  local is_master_gone = ffi.C.getppid() ~= master
  local file = io.open(ngx.config.prefix() .. journal_name)
  if file then
    file:close()
    if not is_master_gone and not is_gone(owner, owner_began) then
      return
    end
    remove_directory()
  end
  if not is_master_gone then
    ffi.C.kill(master, signal_terminate)
  end
  ffi.C.kill(ffi.C.getpid(), signal_terminate)
end

--- Takes up what the owner has changed of the plan since the last request: a file that stands ready
-- under a name of its own, and is taken by renaming it. A mere look costs one call of the system.
local function take_plan()
  if os.rename(changed_plan_path, plan_path) then
    common_plan = plan.new(cjson.decode(read_file(plan_path)))
  end
end

local function load_plans()
  for id, source in pairs(sources) do
    source_plans[id] = plan.new(source)
  end
  local file = io.open(plan_path, "rb")
  if file then
    common_plan = plan.new(cjson.decode(file:read "*a"))
    file:close()
  end
end

--- Reads the sources and opens the journal. To be called in `init_by_lua`, where an error keeps
-- nginx from starting.
function nginx.load()
  local directory = ngx.config.prefix()
  sources = cjson.decode(read_file(directory .. "sources.json"))
  journal = assert(io.open(directory .. journal_name, "a"))
  journal:setvbuf "full"
  plan_path, changed_plan_path = directory .. plan_name, directory .. changed_plan_name
  load_plans()
end

local function write_process_id()
  local file = assert(io.open(ngx.config.prefix() .. "worker.pid", "w"))
  file:write(("%d\n"):format(ffi.C.getpid()))
  file:close()
end

--- Looks after the sandbox's owner, once a second. To be called in `init_worker_by_lua`.
---@param owner integer process id; when that process ends, so does the sandbox
function nginx.watch(owner)
  write_process_id()
  local master = ffi.C.getppid()
  local _, owner_began = read_process(owner)
  local ok, message = ngx.timer.every(1, function(is_premature)
    if not is_premature then
      end_if_abandoned(owner, owner_began, master)
    end
  end)
  if not ok then
    error(message)
  end
end

--- What the journal holds of a request, before it is judged.
local function describe(source_id, body)
  return {
    source_id = source_id,
    signature = read_signature(),
    body = #body <= remembered_bytes and body or nil,
    body_bytes = #body,
    at = ngx.now(),
  }
end

--- From 0 to below 1, always the same for the same text.
local function chance(text)
  local first, second, third = ngx.md5_bin(text):byte(1, 3)
  return (first * 65536 + second * 256 + third) / 16777216
end

--- The fault that the sandbox's or the source's plan has for a request, or nil.
local function choose_fault(source_id)
  take_plan()
  local chosen = common_plan or source_plans[source_id]
  return chosen and chosen:choose(read_signature() or "", chance)
end

--- Takes in one request: the answer of the rules, which are not asked where a fault is in their
-- place, and the fault.
local function receive(source_id, fault)
  local body = read_body()
  local entry = describe(source_id, body)
  fault = plan.of_request(body, met_by_id) or fault
  entry.fault = fault and fault.kind
  if not fault or faults.is_judged(fault) then
    judge(sources[source_id], entry, body)
  end
  remember(entry)
  return entry.status, entry.text, fault
end

--- Notes a request whose body is not read.
local function receive_head(source_id, fault)
  local entry = describe(source_id, "")
  entry.fault = fault.kind
  remember(entry)
end

--- Answers one request. To be called in `content_by_lua`.
function nginx.handle()
  local source_id = ngx.var.uri:match "^/realtime/sdk/([^/]+)$"
  if not source_id or ngx.req.get_method() ~= "POST" then
    return answer(404, "Not found")
  end
  local fault = choose_fault(source_id)
  local status, text, headers
  if fault and faults.is_early(fault) then
    receive_head(source_id, fault)
  else
    status, text, fault = receive(source_id, fault)
  end
  if fault then
    status, text, headers = faults.run(fault, status, text)
  end
  if status then
    answer(status, text, headers)
  end
end

return nginx
