-- luacheck: std ngx_lua
--- What the gateway's nginx does: it sends a message for each request, through the library or by
-- hand, and can send at a steady rate beside whatever else it serves. It is a source, too.
local cjson = require "cjson"
local core = require "sendapi.core"
local ffi = require "ffi"
local message = require "spec.bench.message"
local sendapi = require "sendapi"

local M = {}

local token = message.token
local conversations = 4096 -- so many that no request waits for another of its conversation

local client, host, port, path
local sent = 0

--- In init_by_lua.
---@param url string of the source
function M.load(url)
  local base_url, source_id = url:match "^(.-)/realtime/sdk/(.+)$"
  host, port, path = url:match "^http://([^:/]+):(%d+)(/.+)$"
  client = sendapi.client(source_id, token, { base_url = base_url, connections = 64 })
end

local function next_params()
  sent = sent + 1
  return message.params(tostring(sent % conversations))
end

--- Sends by the library and waits for the outcome.
function M.send()
  local ok, err = client.messages:create(next_params())
  if not ok then
    ngx.log(ngx.ERR, tostring(err))
    return ngx.exit(502)
  end
  ngx.print "ok"
end

-- The same by hand.

ffi.cdef [[
typedef struct env_md_st EVP_MD;
const EVP_MD *EVP_sha512(void);
unsigned char *HMAC(const EVP_MD *digest, const void *key, int key_length, const char *bytes,
                    size_t length, unsigned char *out, unsigned int *out_length);
]]

local openssl = ffi.C -- nginx itself is linked with it
local digest = ffi.new "unsigned char[64]"
local hex = ffi.new "char[128]"
local digits = ffi.new("char[16]", "0123456789abcdef")

local function sign(body)
  openssl.HMAC(openssl.EVP_sha512(), token, #token, body, #body, digest, nil)
  for i = 0, 63 do
    local byte = digest[i]
    hex[2 * i] = digits[bit.rshift(byte, 4)]
    hex[2 * i + 1] = digits[bit.band(byte, 15)]
  end
  return ffi.string(hex, 128)
end

local function write_request(body)
  return {
    "POST ", path, " HTTP/1.1\r\nHost: ", host, ":", port, "\r\nContent-Type: application/json",
    "\r\nX-SMCCSDK-SIGNATURE: ", sign(body), "\r\nContent-Length: ", #body, "\r\n\r\n", body,
  }
end

--- The answer's status and body; or nil and the reason.
local function read_answer(socket)
  local line, reason = socket:receive "*l"
  if not line then
    return nil, reason
  end
  local status, length = tonumber(line:match "^HTTP/1%.1 (%d+)"), 0
  repeat
    line = assert(socket:receive "*l")
    length = tonumber(line:match "^[Cc]ontent%-[Ll]ength: *(%d+)") or length
  until line == ""
  return status, assert(socket:receive(length))
end

local function post(body)
  local socket = ngx.socket.tcp()
  socket:settimeouts(5000, 30000, 30000)
  assert(socket:connect(host, tonumber(port), { pool_size = 64 }))
  assert(socket:send(write_request(body)))
  local status, answer = read_answer(socket)
  assert(socket:setkeepalive(60000, 64))
  return status, answer
end

--- The least that a careful program does by itself: it checks nothing and tries once.
function M.by_hand()
  local body = cjson.encode { action = "messages.create", params = next_params() }
  local status, answer = post(body)
  if status ~= 200 then
    ngx.log(ngx.ERR, tostring(status), " ", tostring(answer))
    return ngx.exit(502)
  end
  ngx.print "ok"
end

-- A steady rate of messages.

local tick = 0.01 -- seconds
local rate = 0 -- messages per second

local function on_outcome(ok, err)
  if not ok then
    ngx.log(ngx.ERR, tostring(err))
  end
end

local function send_tick(premature)
  for _ = 1, premature and 0 or rate * tick do
    client.messages:create(next_params(), on_outcome)
  end
end

--- In init_worker_by_lua.
function M.start()
  assert(ngx.timer.every(tick, send_tick))
end

-- A source that notes when messages arrive.

local arrivals = {}

--- Of messages whose ids are m1, m2, …; of others nothing.
function M.arrive()
  local now = core.now()
  ngx.req.read_body()
  local number = ngx.req.get_body_data():match '"id":"m(%d+)"'
  if number then
    arrivals[#arrivals + 1] = ("%s %.6f\n"):format(number, now)
  end
  ngx.print "ok"
end

--- Tells of what has arrived since it was asked last.
function M.tell_arrivals()
  ngx.print(arrivals)
  arrivals = {}
end

--- Nanoseconds that the worker's own thread has run, without the engine's. Linux alone tells it.
local function worker_nanoseconds()
  local file = io.open "/proc/self/schedstat"
  local text = file and file:read "*l" or "0"
  if file then
    file:close()
  end
  return text:match "^%d+"
end

--- `/load?rate=1000` sends so many messages a second from now on; `/load` tells how many were sent,
-- and the time of the worker.
function M.set_load()
  rate = tonumber(ngx.var.arg_rate) or rate
  ngx.print(sent, " ", worker_nanoseconds())
end

return M
