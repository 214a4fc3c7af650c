--- Connectors with one defect each, and what `sendapi.check` must say of every one of them.
local cjson = require "cjson"
local defects = require "spec.support.defects"
local sendapi = require "sendapi"

local signed = defects.signed
local refused = defects.refused
local is_signed = defects.is_signed
local instead = defects.instead
local finally = defects.finally
local as_if = defects.as_if
local listing = defects.listing
local newest_first = defects.newest_first
local info = defects.info
local with = defects.with
local page_after = defects.page_after
local accept_signed_as = defects.accept_signed_as

local TOKEN = defects.token
local SIGNATURE = "X-SMCCSDK-SIGNATURE"
local UNKNOWN = "check-unknown-'\"\\;%_"

-- Cases that several of them fail.
local FIRST = "implementation.info: a signed request is answered"
local OBJECTS = "implementation.info: objects holds arrays of operations"
local KNOWN = "implementation.info: its objects and operations are known"
local OPTIONS = "implementation.info: options is an array of known options"
local LIST = "messages.list: an array of objects with ids of their own"
local GOES_ON = "messages.list: goes on after since_id with what is newer, to the end"
local REPEATED = "%s.create: repeated with the same content_id, it answers the same id"

---@class spec.Broken
---@field definition (fun(definition: table))|nil changes what the connector is made of
---@field wrap (fun(handle: function): function)|nil changes what it answers
---@field fails table<string, string> cases that fail -> a part of the sentence

---@type table<string, spec.Broken>
return {
  unsigned = {
    wrap = accept_signed_as(function(_, header, query)
      return not header and not query
    end),
    fails = { ["signature: a request without one is refused"] = "Verify X-SMCCSDK-SIGNATURE" },
  },
  trusting = {
    wrap = accept_signed_as(function(_, header)
      return header
    end),
    fails = {
      ["signature: a wrong one is refused"] = "with a wrong signature was answered with the status",
      ["signature: one made with another token is refused"] = "signed with another token",
      ["signature: one of other bytes is refused"] = "with the signature of another one",
    },
  },
  half = {
    wrap = accept_signed_as(function(body, header)
      return header and header ~= "" and sendapi.sign(TOKEN, body):sub(1, #header) == header
    end),
    fails = { ["signature: a wrong one is refused"] = "with half a signature" },
  },
  reencoding = {
    wrap = as_if(function(body, header, query)
      local plain = body:gsub("%s+$", ""):gsub("{ ", "{")
      local right = sendapi.sign(TOKEN, plain)
      return body, (header or query) == right and sendapi.sign(TOKEN, body) or "wrong"
    end),
    fails = {
      ["signature: one of other bytes is refused"] = "the same JSON in other bytes",
      ["signature: it is verified over the bytes as they came"] = "never of JSON that was decoded",
    },
  },
  trusting_query = {
    wrap = accept_signed_as(function(_, header, query)
      return not header and query
    end),
    fails = { ["signature: a wrong one in the query is refused"] = "in the query" },
  },
  silent = {
    wrap = finally(function(status, ...)
      if status == 403 then
        return 444
      end
      return status, ...
    end),
    fails = {
      ["signature: a request without one is refused"] = "No answer came",
      ["signature: a wrong one is refused"] = "No answer came",
      ["signature: one made with another token is refused"] = "No answer came",
      ["signature: one of other bytes is refused"] = "No answer came",
      ["signature: a wrong one in the query is refused"] = "No answer came",
    },
  },
  dead = {
    wrap = finally(function()
      return 500, "Traceback: " .. TOKEN, {}
    end),
    fails = { [FIRST] = "refused with the status 500" },
  },
  html = {
    wrap = info "<html>",
    fails = { [FIRST] = "not JSON in UTF-8" },
  },
  failing_info = {
    wrap = info '{"error":{"message":"no","fatal":true}}',
    fails = { [FIRST] = "answered by an error" },
  },
  array_info = {
    wrap = info "[]",
    fails = { [FIRST] = "got an empty array" },
  },
  no_objects = {
    wrap = info '{"options":[]}',
    fails = { [OBJECTS] = "objects: expected an object" },
  },
  objects_array = {
    wrap = info '{"objects":[]}',
    fails = { [OBJECTS] = "{} when there is nothing in it" },
  },
  operations_object = {
    wrap = info '{"objects":{"threads":{}}}',
    fails = {
      [OBJECTS] = "objects.threads: expected an "
        .. "array of strings, [] when there is none, got an empty object {}",
    },
  },
  operation_twice = {
    wrap = info '{"objects":{"threads":["reply","reply"]}}',
    fails = { [OBJECTS] = "reply is there twice" },
  },
  unknown_object = {
    wrap = info '{"objects":{"mesages":["create"]}}',
    fails = { [KNOWN] = "mean messages?" },
  },
  unknown_operation = {
    wrap = info '{"objects":{"status":["mark_as_raed"]}}',
    fails = { [KNOWN] = "mean mark_as_read?" },
  },
  terminal = {
    wrap = info '{"objects":{"\\u001b[31m":[]}}',
    fails = { [KNOWN] = "no object ?[31m;" },
  },
  unknown_option = {
    wrap = info '{"objects":{"messages":[]},"options":["messages.txt"]}',
    fails = { [OPTIONS] = "messages.text" },
  },
  contradiction = {
    wrap = info '{"objects":{"messages":[]},"options":["messages.text","messages.html"]}',
    fails = { [OPTIONS] = "messages.html" },
  },
  options_object = {
    wrap = info '{"objects":{},"options":{}}',
    fails = { [OPTIONS] = "array of strings" },
  },
  locales_array = {
    wrap = info '{"objects":{},"locales":[]}',
    fails = { ["implementation.info: locales holds texts by language"] = "locales: expected" },
  },
  locales_flat = {
    wrap = info '{"objects":{},"locales":{"default":{"spam":["Spam"]}}}',
    fails = { ["implementation.info: locales holds texts by language"] = "locales.default.spam" },
  },
  credulous = {
    wrap = function(handle)
      return function(body, header, query)
        if is_signed(body, header, query) and not pcall(cjson.decode, body) then
          return signed "{}"
        end
        return handle(body, header, query)
      end
    end,
    fails = { ["requests: a body that is not JSON is refused"] = "Answer 400" },
  },
  shapeless = {
    wrap = finally(function(status, text, headers)
      if text == "Invalid request format" then
        return signed "{}"
      end
      return status, text, headers
    end),
    fails = { ["requests: JSON that is no request is refused"] = "JSON that is no object" },
  },
  obliging = {
    wrap = finally(function(status, text, headers)
      if text == "Invalid action" then
        return signed "{}"
      end
      return status, text, headers
    end),
    fails = { ["requests: an action that is not implemented is refused"] = "Answer 422" },
  },
  narrow = {
    wrap = function(handle)
      return function(body, header, query)
        if #body > 1000000 then
          return refused(413, "Too large")
        end
        return handle(body, header, query)
      end
    end,
    fails = { ["requests: one of 1 MB is accepted"] = "client_max_body_size" },
  },
  unsigned_answers = {
    wrap = finally(function(status, text, headers)
      headers[SIGNATURE] = nil
      return status, text, headers
    end),
    fails = { ["answers: they are signed over their exact bytes"] = "has no header" },
  },
  changed_answers = {
    wrap = finally(function(status, text, headers)
      return status, text .. (status == 200 and "\n" or ""), headers
    end),
    fails = { ["answers: they are signed over their exact bytes"] = "change nothing afterwards" },
  },
  plain_answers = {
    wrap = finally(function(status, text, headers)
      headers["Content-Type"] = "text/html"
      return status, text, headers
    end),
    fails = { ["answers: their type is JSON in UTF-8"] = "The Content-Type is text/html" },
  },
  latin_answers = {
    wrap = finally(function(status, text, headers)
      headers["Content-Type"] = "application/json; charset=iso-8859-1"
      return status, text, headers
    end),
    fails = { ["answers: their type is JSON in UTF-8"] = "iso-8859-1" },
  },
  latin_list = {
    wrap = instead("messages.list", function(_, text)
      return (text:gsub("body", "b\233"))
    end),
    fails = { [LIST] = "not JSON in UTF-8" },
  },
  object_list = {
    wrap = instead("messages.list", function(_, text)
      return text == "[]" and "{}" or nil
    end),
    fails = { [GOES_ON] = "[] when there is none, got an empty object {}" },
  },
  nameless_list = {
    wrap = listing(function()
      return { '{"body":"a"}' }
    end),
    fails = { [LIST] = "got nothing as its id" },
  },
  double_list = {
    wrap = listing(function(items)
      return { items[1], items[1] }
    end),
    fails = { [LIST] = "is there twice" },
  },
  oldest_first = {
    wrap = listing(function(items, since)
      local page = page_after(items, since)
      return { page[2], page[1] }
    end),
    fails = {
      ["messages.list: newest first"] = "Answer the newest first",
      [GOES_ON] = "answered before",
    },
  },
  forgetful = {
    wrap = listing(function(items)
      return newest_first(items, 1, #items)
    end),
    fails = { [GOES_ON] = "answered before" },
  },
  inclusive = {
    wrap = listing(function(items, since)
      return newest_first(items, since or 1, #items)
    end),
    fails = { [GOES_ON] = "Answer only what" },
  },
  backwards = {
    wrap = listing(function(items, since)
      return newest_first(items, (since or #items + 2) - 3, (since or #items + 2) - 2)
    end),
    fails = { [GOES_ON] = "created at" },
  },
  newest_only = {
    wrap = listing(function(items, since)
      return newest_first(items, since and math.max(since + 1, #items - 1) or 1, #items)
    end),
    fails = { ["messages.list: when limited, the oldest after since_id"] = "passed over is lost" },
  },
  strict_since = {
    wrap = instead("messages.list", function(params)
      if params.since_id == UNKNOWN then
        return "syntax error in SQL", 500
      end
    end),
    fails = { ["messages.list: an unknown since_id is no error"] = "Never put an id into a query" },
  },
  authorless = {
    wrap = listing(function(items, since)
      return with(page_after(items, since), function(item)
        item.author = nil
      end)
    end),
    fails = { ["messages.list: its objects are whole"] = "[1].author: is missing" },
  },
  epochs = {
    wrap = listing(function(items, since)
      return with(page_after(items, since), function(item)
        item.created_at = 1349111920
      end)
    end),
    fails = { ["messages.list: its objects are whole"] = "[1].created_at: expected ISO 8601" },
  },
  wrong_types = {
    wrap = listing(function(items, since)
      return with(page_after(items, since), function(item)
        item.body = { "a" }
      end)
    end),
    fails = { ["messages.list: its objects are whole"] = "[1].body: expected" },
  },
  confused = {
    wrap = instead("messages.show", function(params, text)
      return text ~= "{}" and text:gsub('"id":"' .. params.id .. '"', '"id":"other"', 1) or nil
    end),
    fails = {
      ["messages.show: answers the object that was asked for"] = "it answers another, other",
    },
  },
  undated = {
    wrap = instead("messages.show", function(_, text)
      return (text:gsub('"created_at":"2012%-10%-01T17', '"created_at":"2012-10-01T18'))
    end),
    fails = {
      ["messages.show: answers the object that was asked for"] = "The created_at of the answer",
    },
  },
  inventive = {
    wrap = instead("messages.show", function(_, text)
      return text == "{}" and '{"id":"5","body":"b"}' or nil
    end),
    fails = { ["messages.show: an unknown id is answered by {}"] = "never another one" },
  },
  empty_array = {
    wrap = instead("messages.show", function(_, text)
      return text == "{}" and "[]" or nil
    end),
    fails = { ["messages.show: an unknown id is answered by {}"] = "Answer {}" },
  },
  breaking = {
    wrap = instead("messages.show", function(_, text)
      if text == "{}" then
        return "NoMethodError: nil", 500
      end
    end),
    fails = { ["messages.show: an unknown id is answered by {}"] = "an error of the server" },
  },
  idless = {
    wrap = instead("messages.create", function()
      return "{}"
    end),
    fails = { ["messages.create: answers an id"] = "got nothing as its id" },
  },
  repeating = {
    definition = function(definition)
      definition.store = false
    end,
    fails = {
      [REPEATED:format "threads"] = "Remember the",
      [REPEATED:format "messages"] = "Remember the",
      [REPEATED:format "private_messages"] = "was created again",
    },
  },
  same_id = {
    definition = function(definition)
      local first
      local create = definition.threads.create
      definition.threads.create = function(params)
        first = first or create(params)
        first.body = params.body
        return first
      end
    end,
    fails = { ["threads.create: another content_id has another id"] = "Give every content" },
  },
  basic_plane = {
    wrap = instead("messages.show", function(_, text)
      return (text:gsub("\240...", "?"))
    end),
    fails = { ["messages.create: keeps text of any language"] = "utf8mb4" },
  },
  escapeless = {
    wrap = instead("messages.show", function(_, text)
      return (text:gsub("tab\240\159\152\128", "tab\239\191\189"))
    end),
    fails = { ["messages.create: keeps text of any language"] = "Characters of the body are lost" },
  },
  short = {
    wrap = instead("messages.create", function(params)
      if #params.body > 4000 then
        return "Data too long for column", 500
      end
    end),
    fails = { ["messages.create: takes a body of 20,000 characters"] = "with the status 500" },
  },
  nullless = {
    wrap = instead("messages.create", function(params)
      if params.title == cjson.null then
        return "undefined method for nil", 500
      end
    end),
    fails = { ["messages.create: takes params that are null or unknown"] = "refused" },
  },
  laconic = {
    wrap = instead("messages.spam", function()
      return "{}"
    end),
    fails = { ["messages.spam: answers the whole object"] = "got nothing as its id" },
  },
  deleting = {
    wrap = instead("messages.delete", function(params)
      return cjson.encode { id = params.id }
    end),
    fails = { ["messages.delete: answers the whole object"] = "The answer.author: is missing" },
  },
  impatient = {
    wrap = instead("messaging.queuing_update", function()
      return "no", 422
    end),
    fails = { ["messaging.queuing_update: it is answered by any 2xx"] = "status 422" },
  },
}
