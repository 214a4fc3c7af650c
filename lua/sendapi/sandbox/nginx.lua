-- luacheck: std ngx_lua
--- The sandbox inside nginx: reads requests, asks the rules, remembers, answers.
--
-- One worker, so that what is known of a source is known in one place.
local cjson = require "cjson"
local encode = require "sendapi.sandbox.encode"
local faults = require "sendapi.sandbox.faults"
local nginx_body = require "sendapi.nginx_body"
local owner = require "sendapi.sandbox.owner"
local plan = require "sendapi.sandbox.plan"
local rules = require "sendapi.sandbox.rules"
local signature = require "sendapi.sandbox.signature"
local verdict = require "sendapi.sandbox.verdict"
local world = require "sendapi.sandbox.world"

local journal_name = "received.jsonl"
local remembered_bytes = 1048576
local longest_name = 100 -- bytes of an action on the screen

local nginx = {}

local journal
local met_by_id = {} -- see `plan.of_request`
local right = { right = true }

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
  local context = { now = entry.at, sign = signature.sign }
  local request
  entry.status, entry.text, request =
    rules.answer(world.sources, entry.source_id, body, entry.signature, context)
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
    local params = entry.params
    entry.params = nil
    line, entry.params = cjson.encode(entry), params
  end
  local ok, message = journal:write(line, "\n")
  if ok then
    ok, message = journal:flush()
  end
  if not ok then
    ngx.log(ngx.ERR, journal_name, ": ", message)
  end
end

--- What is to be said of a request's signature; nil when nobody has asked for it.
local function verdict_of(entry, body)
  if not entry.status or entry.status == 413 or not world.sources[entry.source_id] then
    return nil
  elseif entry.text ~= rules.wrong_signature then
    return right
  end
  return verdict.wrong {
    body = body,
    signature = entry.signature,
    source = entry.source_id,
    tokens = world.tokens(),
    sign = signature.sign,
  }
end

--- The action that a body names which the rules did not get to read, or nil.
local function action_of(body)
  local is_json, request = pcall(cjson.decode, #body <= remembered_bytes and body or "")
  local action = is_json and type(request) == "table" and request.action
  return type(action) == "string" and encode.excerpt(encode.utf8(action), longest_name) or nil
end

--- Shows a request to those who look at the screen.
local function record(entry, body)
  ngx.update_time()
  local text = entry.text
  return world.record {
    direction = "in",
    at = entry.at,
    seconds = ngx.now() - entry.at,
    source = entry.source_id,
    action = entry.action or action_of(body),
    status = entry.status,
    url = ngx.var.request_uri,
    fault = entry.fault,
    verdict = verdict_of(entry, body),
    request = {
      body = body,
      bytes = entry.body_bytes,
      signature = entry.signature,
      headers = ngx.req.raw_header(true),
    },
    answer = text and { body = text, bytes = #text } or nil,
  }
end

--- Notes that the fault has made another answer of it, or a late one.
local function record_answer(recorded, status, text)
  ngx.update_time()
  world.record_answer(recorded, {
    status = status,
    seconds = ngx.now() - recorded.at,
    answer = status and { body = text, bytes = #text } or nil,
  })
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

local function open_journal(mode)
  local file = assert(io.open(ngx.config.prefix() .. journal_name, mode))
  file:setvbuf "full"
  return file
end

--- Reads the sources and opens the journal. To be called in `init_by_lua`, where an error keeps
-- nginx from starting.
function nginx.load()
  world.load(ngx.config.prefix())
  journal = open_journal "a"
end

--- Looks after the sandbox's owner, and does what has to be done every second. To be called in
-- `init_worker_by_lua`.
---@param pid integer of a process; when it ends, so does the sandbox
function nginx.watch(pid)
  owner.watch(pid, ngx.config.prefix() .. journal_name)
  assert(ngx.timer.every(1, function(is_premature)
    if not is_premature then
      world.tick()
    end
  end))
end

--- Forgets what was received; what `Host:received` gives, too.
function nginx.clear()
  open_journal("w"):close()
  world.clear()
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
  world.take_plan()
  local chosen = world.plan_of(source_id)
  return chosen and chosen:choose(read_signature() or "", chance)
end

--- Takes in one request: the answer of the rules, which are not asked where a fault is in their
-- place, and the fault.
local function receive(source_id, fault)
  local body = nginx_body.read()
  local entry = describe(source_id, body)
  fault = plan.of_request(body, met_by_id) or fault
  entry.fault = fault and fault.kind
  if not fault or faults.is_judged(fault) then
    judge(world.sources[source_id], entry, body)
  end
  remember(entry)
  local recorded = record(entry, body)
  if entry.status == 200 then
    world.state:apply(source_id, entry.action, entry.params, entry.at, body)
  end
  return recorded, entry, fault
end

--- Notes a request whose body is not read.
local function receive_head(source_id, fault)
  local entry = describe(source_id, "")
  entry.fault = fault.kind
  remember(entry)
  return record(entry, ""), entry, fault
end

--- Answers one request. To be called in `content_by_lua`.
function nginx.handle()
  local source_id = ngx.var.uri:match "^/realtime/sdk/([^/]+)$"
  if not source_id or ngx.req.get_method() ~= "POST" then
    return answer(404, "Not found")
  end
  local fault = choose_fault(source_id)
  local take_in = fault and faults.is_early(fault) and receive_head or receive
  local recorded, entry
  recorded, entry, fault = take_in(source_id, fault)
  local status, text, headers = entry.status, entry.text, nil
  if fault then
    status, text, headers = faults.run(fault, status, text)
    record_answer(recorded, status, text)
  end
  if status then
    answer(status, text, headers)
  end
end

return nginx
