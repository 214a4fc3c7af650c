--- Connectors for `sendapi.check`: one that is made well, others that lack what is not needed,
-- those that are broken, and wild ones. nginx serves them, every one under its name.
local broken = require "spec.support.broken"
local defects = require "spec.support.defects"
local sendapi = require "sendapi"

local M = { token = defects.token, broken = broken }

local TOKEN = M.token
local SIGNATURE = "X-SMCCSDK-SIGNATURE"

-- Those that are not wrong, only narrow.
M.fine = {
  well = {},
  headers_only = {
    wrap = defects.as_if(function(body, header)
      return body, header
    end),
  },
  lower_case = {
    wrap = defects.as_if(function(body, header, query)
      local given = header or query or ""
      return body, given == given:lower() and header or nil, given == given:lower() and query or nil
    end),
  },
  -- knows one thread only
  picky = {
    definition = function(definition)
      local create = definition.messages.create
      definition.messages.create = function(params)
        if params.thread_id ~= "t9" then
          return nil, { message = "there is no such thread", fatal = true }
        end
        return create(params)
      end
    end,
  },
  -- has too much to list it from the beginning
  huge = {
    wrap = defects.instead("messages.list", function(params)
      if not params.since_id then
        return "Gateway timeout", 504
      end
    end),
  },
  -- hands over agents' replies and nothing else
  realtime = {
    definition = function()
      local count = 0
      local function create()
        count = count + 1
        return { id = ("r%d"):format(count) }
      end
      return {
        messages = { create = create, reply = true },
        options = { "view.messaging", "messages.text", "messages.unthreaded" },
        status = { "mark_as_read" },
      }
    end,
  },
  slow = {
    wrap = function(handle)
      return function(...)
        rawget(_G, "ngx").sleep(2)
        return handle(...)
      end
    end,
  },
  bare = { wrap = defects.info '{"objects":{}}' },
  nulls = { wrap = defects.info '{"objects":{},"options":null,"locales":null}' },
}

-- Whatever JSON there is ----------------------------------------------------------

local function value_of(random, depth)
  local kind = random(depth > 3 and 6 or 8)
  if kind <= 6 then
    return ({ "null", "true", "-1.5e3", '"x"', '"\\u0000[31m"', '""' })[kind]
  end
  local parts = {}
  local names = { "id", "author", "body", "error", "objects", "messages", "options", "created_at" }
  for i = 1, random(4) - 1 do
    parts[i] = value_of(random, depth + 1)
    if kind == 8 then
      parts[i] = ('"%s":%s'):format(table.remove(names, random(#names)), parts[i])
    end
  end
  local text = table.concat(parts, ",")
  return kind == 8 and "{" .. text .. "}" or "[" .. text .. "]"
end

--- A connector that answers anything, from a fixed seed: its name is `wild-` and a number.
local function wild(number)
  local state = tonumber(number)
  local function random(most)
    state = (state * 16807) % 2147483647
    return state % most + 1
  end
  return function(body, header, query)
    local status, text, headers = M.well(body, header, query)
    local sort = random(6)
    if sort == 1 then
      return defects.signed(value_of(random, 0))
    elseif sort == 2 then
      return random(9) * 100, text, headers
    elseif sort == 3 then
      return defects.signed(text:sub(1, random(#text)))
    elseif sort == 4 then
      return defects.signed((text:gsub('"', value_of(random, 0):gsub("%%", ""), random(4))))
    end
    return status, text, headers
  end
end

-- In nginx -----------------------------------------------------------------------

local handles = {}

local function make(name)
  if name:find "^wild" then
    M.well = M.well or make "well"
    return wild(name:match "%d+")
  end
  local kind = M.fine[name] or M.broken[name]
  local definition = defects.everything()
  if kind.definition then
    definition = kind.definition(definition) or definition
  end
  local connector = sendapi.connector(TOKEN, definition)
  local function handle(body, header, query)
    return connector:handle(body, header, query)
  end
  return kind.wrap and kind.wrap(handle) or handle
end

--- Within content_by_lua: the connector that the path's last part names.
function M.serve()
  local ngx = rawget(_G, "ngx")
  local name = ngx.var.uri:match "([^/]+)$"
  handles[name] = handles[name] or make(name)
  ngx.req.read_body()
  local body = ngx.req.get_body_data() or ""
  local header = ngx.req.get_headers()[SIGNATURE]
  local status, text, headers = handles[name](body, header, ngx.var.arg_signature)
  for field, value in pairs(headers or {}) do
    ngx.header[field] = value
  end
  ngx.status = status
  if status == 444 then
    return ngx.exit(444)
  end
  ngx.print(text)
end

return M
