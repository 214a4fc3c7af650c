--- The posts of a board, in a SQLite table: what Engage Digital is told of them, and does to them.
--
-- SQLite waits for the disk, and so does nginx's worker meanwhile: fine for a board, not for a
-- stream of thousands a minute. Deleted rows stay, marked, so that whatever is asked for twice is
-- answered twice.
local luasql = require "luasql.sqlite3"

local M = {}

M.LIMIT = 100 -- posts in one list

local TABLE = [[
  CREATE TABLE IF NOT EXISTS posts (
    id INTEGER PRIMARY KEY AUTOINCREMENT, -- never used again
    thread TEXT NOT NULL,
    in_reply_to INTEGER,
    author TEXT NOT NULL,
    name TEXT NOT NULL,
    member_since INTEGER NOT NULL DEFAULT 0, -- epoch seconds, as all times here
    body TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    spam INTEGER NOT NULL DEFAULT 0,
    deleted INTEGER NOT NULL DEFAULT 0
  )]]

local environment = luasql.sqlite3()
local connection -- of this process, opened when it is first needed, never before a fork

local function open()
  if not connection then
    local opened = assert(environment:connect(os.getenv "POSTS" or "posts.db"))
    assert(opened:execute "PRAGMA busy_timeout = 5000")
    assert(opened:execute(TABLE))
    connection = opened
  end
  return connection
end

--- A text or a number as text without NULs, which the driver takes for an end; nil when nothing is
-- left, or it is something else. Columns that Engage Digital requires must not be empty: a list is
-- answered whole or not at all.
function M.text(value)
  local is_text = type(value) == "string" or type(value) == "number"
  local text = is_text and tostring(value):gsub("%z", "") or ""
  return text ~= "" and text or nil
end

--- A value as SQL writes it. A text is quoted by the driver.
local function literal(value)
  if value == nil then
    return "NULL"
  elseif type(value) == "number" then
    return ("%.0f"):format(value)
  end
  return "'" .. open():escape(M.text(value) or "") .. "'"
end

--- Runs a statement with values for its `?`s.
local function execute(statement, ...)
  local values, index = { ... }, 0
  return assert(open():execute((statement:gsub("%?", function()
    index = index + 1
    return literal(values[index])
  end))))
end

local function number_of(id)
  local digits = tostring(id):match "^%d+$"
  return digits and #digits <= 15 and tonumber(digits) or 0
end

--- A row as the API's message.
local function message(row)
  local is_spam = tonumber(row.spam) == 1
  return {
    id = ("%.0f"):format(row.id),
    thread_id = row.thread,
    in_reply_to_id = row.in_reply_to and ("%.0f"):format(row.in_reply_to),
    author = { id = row.author, screenname = row.name, created_at = tonumber(row.member_since) },
    body = row.body,
    format = "text",
    created_at = tonumber(row.created_at),
    actions = { "delete", is_spam and "ham" or "spam" },
  }
end

local function query(statement, ...)
  local cursor, messages = execute(statement, ...), {}
  local row = cursor:fetch({}, "a")
  while row do
    messages[#messages + 1] = message(row)
    row = cursor:fetch({}, "a")
  end
  cursor:close()
  return messages
end

--- The oldest posts after one, newest first: whoever asks goes on after the first of them.
function M.list(since_id)
  return query(
    [[SELECT * FROM (SELECT * FROM posts WHERE id > ? AND NOT deleted ORDER BY id LIMIT ?)
      ORDER BY id DESC]],
    number_of(since_id),
    M.LIMIT
  )
end

--- A post, or nil; one that is deleted only when asked for.
function M.find(id, also_deleted)
  return query(
    "SELECT * FROM posts WHERE id = ? AND deleted <= ?",
    number_of(id),
    also_deleted and 1 or 0
  )[1]
end

--- Adds a post.
---@param post { thread: string, in_reply_to: string?, author: string, name: string, body: string }
function M.add(post)
  local now = os.time()
  execute(
    [[INSERT INTO posts (thread, in_reply_to, author, name, body, created_at)
      VALUES (?, ?, ?, ?, ?, ?)]],
    post.thread,
    post.in_reply_to and number_of(post.in_reply_to),
    post.author,
    post.name,
    post.body,
    now
  )
  return M.find(("%.0f"):format(open():getlastautoid()))
end

--- Marks a post as deleted or as spam; the post, or nil when there is none.
---@param what "deleted"|"spam"
---@param is boolean
function M.mark(id, what, is)
  local column = what == "deleted" and "deleted" or "spam"
  execute("UPDATE posts SET " .. column .. " = ? WHERE id = ?", is and 1 or 0, number_of(id))
  return M.find(id, true)
end

return M
