--- What may be said of a source by whoever sets the sandbox up.
--
-- Pure.
local cjson = require "cjson"
local json = require "sendapi.json"

local settings = {}

local MOST = 100 -- names in a list
local LONGEST = 1000 -- bytes of a text
local LONGEST_INTERVAL = 86400

local function problem_of_text(name, value)
  if type(value) ~= "string" or #value > LONGEST or value:find "[%z\1-\31\127]" then
    return name .. ": expected a text"
  end
end

local function problem_of_token(name, value)
  if value == "" then
    return name .. ": expected a text that is not empty"
  end
  return problem_of_text(name, value)
end

local function problem_of_names(name, value)
  local is_list = json.type(value) == "array" or (type(value) == "table" and next(value) == nil)
  if not is_list or #value > MOST then
    return ("%s: expected a list of at most %d texts"):format(name, MOST)
  end
  for _, item in ipairs(value) do
    local problem = problem_of_text(name, item)
    if problem then
      return problem
    end
  end
end

--- Parts an http or https url, for `problem_of_url` and for who asks it. nil when it is none.
---@param url any
---@return table|nil parts `scheme`, `authority`, `host`, `port`, `path`
function settings.url(url)
  if type(url) ~= "string" or #url > LONGEST or url:find "[^!-~]" then
    return nil
  end
  local scheme, authority, path = url:match "^(https?)://([^/?#@]+)([^#]*)$"
  local host = authority and (authority:match "^%[%x*:[%x:.]*%]" or authority:match "^[%w%-.]+")
  local port = host and authority:sub(#host + 1)
  if not host or host:lower() == "unix" or not (port == "" or port:find "^:%d+$") then
    return nil
  end
  local number = tonumber(port:sub(2)) or (scheme == "https" and 443 or 80)
  if number < 1 or number > 65535 then
    return nil
  end
  return { scheme = scheme, authority = authority, host = host, port = number, path = path }
end

local function problem_of_url(name, value)
  if value ~= "" and not settings.url(value) then
    return name .. ": expected an http or https url, or an empty text"
  end
end

local function problem_of_interval(name, value)
  if type(value) ~= "number" or not (value >= 0 and value <= LONGEST_INTERVAL) then
    return ("%s: expected seconds, from 0 to %d"):format(name, LONGEST_INTERVAL)
  end
end

local problems = {
  name = problem_of_text,
  token = problem_of_token,
  options = problem_of_names,
  actions = problem_of_names,
  connector = problem_of_url,
  interval = problem_of_interval,
}

--- What is wrong with the id of a source, or nil.
---@param id string
---@return string|nil problem
function settings.problem_of_id(id)
  if #id > 100 or not id:find "^[%w._~%-]+$" or id:find "^%.+$" then
    return "A source's id is made of at most 100 letters, digits and . _ ~ -"
  end
end

--- What is wrong with what is to be set, or nil. Null is always right: the default.
---@param given any
---@return string|nil problem
function settings.problem(given)
  if json.type(given) ~= "object" then
    return "Expected an object."
  end
  for name, value in pairs(given) do
    local problem_of = problems[name]
    local problem
    if not problem_of then
      problem = ("There is no setting %q."):format(name)
    elseif value ~= cjson.null then
      problem = problem_of(name, value)
    end
    if problem then
      return problem
    end
  end
end

return settings
