--- What connectors for `sendapi.check` are made of: one that is made well, and ways to spoil it.
local cjson = require "cjson"
local sendapi = require "sendapi"

local M = { token = "check-3YJZzqMJ5Ec7i2JGvnt8" }

local TOKEN = M.token
local SIGNATURE = "X-SMCCSDK-SIGNATURE"
local JSON = "application/json; charset=utf-8"

-- The well-made connector ------------------------------------------------------

local function author(id)
  return { id = id, screenname = "User " .. id, created_at = "2012-10-01T00:00:00Z" }
end

--- Objects of one kind, in the order in which they came.
local function new_box(fill)
  local box = { items = {}, by_id = {}, count = 0 }
  function box.add(values)
    box.count = box.count + 1
    local id = ("%x"):format((box.count * 7919) % 65536) -- ids need not ascend
    local object = fill { id = id, author = author "1", body = "body " .. box.count }
    object.created_at = ("2012-10-01T17:%02d:00Z"):format(box.count)
    for name, value in pairs(values or {}) do
      object[name] = value
    end
    box.items[box.count], box.by_id[id] = object, object
    return object
  end
  for _ = 1, 5 do
    box.add()
  end
  return box
end

local function operations_on(box)
  local function find(params)
    return box.by_id[params.id] or nil, { message = "there is no such object", fatal = true }
  end
  return {
    list = function(params)
      return sendapi.page(box.items, params.since_id, 2)
    end,
    show = function(params)
      return box.by_id[params.id]
    end,
    create = function(params)
      return box.add { body = params.body }
    end,
    delete = find,
    publish = find,
    unpublish = find,
    spam = find,
    reply = true,
  }
end

local boxes = {
  messages = function(object)
    object.thread_id = "t1"
    return object
  end,
  private_messages = function(object)
    object.recipient = author "2"
    return object
  end,
  threads = function(object)
    object.title = "title"
    return object
  end,
}

--- A definition with everything, and contents of its own.
function M.everything()
  local definition = {
    messaging = { queuing_update = function() end },
    status = true,
    typing = true,
    users = true,
    options = { "messages.text", "messages.attachments" },
    locales = { default = { spam = "Spam" }, fr = { spam = "Indésirable" } },
    log = function() end,
  }
  for kind, fill in pairs(boxes) do
    definition[kind] = operations_on(new_box(fill))
  end
  return definition
end

-- Defects ----------------------------------------------------------------------

function M.signed(text)
  return 200, text, { ["Content-Type"] = JSON, [SIGNATURE] = sendapi.sign(TOKEN, text) }
end

function M.refused(status, text)
  return status, text, { ["Content-Type"] = "text/plain" }
end

function M.is_signed(body, header, query)
  return sendapi.verify(TOKEN, body, header or query)
end

local function params_of(body, action)
  local fine, request = pcall(cjson.decode, body)
  if fine and type(request) == "table" and request.action == action then
    return request.params or {}
  end
end

--- Answers to one action are changed: `change(params, text)` gives JSON, or nil; or a status, too.
function M.instead(action, change)
  return function(handle)
    return function(body, header, query)
      local params = M.is_signed(body, header, query) and params_of(body, action)
      local status, text, headers = handle(body, header, query)
      if params then
        local changed, other_status = change(params, text)
        if other_status then
          return M.refused(other_status, changed)
        elseif changed then
          return M.signed(changed)
        end
      end
      return status, text, headers
    end
  end
end

--- The bytes of answers are changed in any way.
function M.finally(change)
  return function(handle)
    return function(body, header, query)
      return change(handle(body, header, query))
    end
  end
end

--- Requests come as others.
function M.as_if(change)
  return function(handle)
    return function(body, header, query)
      return handle(change(body, header, query))
    end
  end
end

--- `list` of messages answers items that `pick(all, since)` chose of all, oldest first, and of
-- which the one at `since` was asked for.
function M.listing(pick)
  local items = new_box(boxes.messages).items
  return M.instead("messages.list", function(params)
    local since
    for i, item in ipairs(items) do
      since = item.id == params.since_id and i or since
    end
    local texts = {}
    for i, item in ipairs(pick(items, since, params)) do
      texts[i] = type(item) == "string" and item or cjson.encode(item)
    end
    return "[" .. table.concat(texts, ",") .. "]"
  end)
end

--- From one place to another, newest first.
function M.newest_first(items, first, last)
  local page = {}
  for i = math.min(last, #items), math.max(first, 1), -1 do
    page[#page + 1] = items[i]
  end
  return page
end

function M.info(text)
  return M.instead("implementation.info", function()
    return text
  end)
end

function M.with(items, change)
  local copy = {}
  for i, item in ipairs(items) do
    copy[i] = {}
    for name, value in pairs(item) do
      copy[i][name] = value
    end
    change(copy[i], i)
  end
  return copy
end

function M.page_after(items, since)
  return M.newest_first(items, (since or 0) + 1, (since or 0) + 2)
end

function M.accept_signed_as(verify)
  return M.as_if(function(body, header, query)
    if verify(body, header, query) then
      return body, sendapi.sign(TOKEN, body)
    end
    return body, header, query
  end)
end

return M
