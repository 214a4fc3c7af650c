-- Files as attachments: `sendapi.file` and what becomes of it when a message is written.
local encoding = require "spec.support.encoding"
local raising = require "spec.support.raising"
local sendapi = require "sendapi"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"

local message = encoding.message

--- How a message's only attachment is written.
local function written(attachment)
  local bytes = encoding.bytes("messages.create", message { attachments = { attachment } })
  return bytes:match '"params":{"id":"1","attachments":%[(.*)%],"author"'
end

local function assert_refused(expected, attachment)
  local found = encoding.problem("messages.create", message { attachments = { attachment } })
  assert.are.equal("invalid_params", found.code)
  assert.are.equal("params.attachments[1]", found.field)
  assert.are.equal("params.attachments[1]: " .. expected, found.message)
end

--- Bytes of every value, not the same from piece to piece.
local function content_of(length)
  local pieces = {}
  for i = 0, length / 256 do
    local bytes = {}
    for j = 1, 256 do
      bytes[j] = string.char((i * 31 + j * 7) % 256)
    end
    pieces[#pieces + 1] = table.concat(bytes)
  end
  return table.concat(pieces):sub(1, length)
end

--- What the `base64` command makes of files.
local function base64_of(paths)
  local command = {}
  for i, path in ipairs(paths) do
    command[i] = "base64 -w 0 " .. shell.quote(path) .. "; echo"
  end
  local lines = {}
  for line in shell.run(table.concat(command, "\n")).output:gmatch "(.-)\n" do
    lines[#lines + 1] = line
  end
  return lines
end

describe("an attached file", function()
  local directory

  setup(function()
    directory = temporary.directory()
  end)

  teardown(function()
    directory:remove()
  end)

  it("is written with its name", function()
    local path = directory:write("invoice.pdf", "%PDF\0\255")
    assert.are.equal(
      '{"content":"JVBERgD/","filename":"invoice.pdf"}',
      written(sendapi.file(path))
    )
  end)

  it("is written with another name and a type", function()
    local path = directory:write("recording", "abc")
    local options = { filename = 'à "b".mp4', type = "audio" }
    assert.are.equal(
      [[{"content":"YWJj","filename":"à \"b\".mp4","type":"audio"}]],
      written(sendapi.file(path, options))
    )
    assert.are.equal(
      '{"content":"YWJj","filename":"recording","type":"video"}',
      written(sendapi.file(path, { type = "video" }))
    )
  end)

  it("may stand among others", function()
    local path = directory:write("a.txt", "a")
    local bytes = encoding.bytes(
      "private_messages.create",
      encoding.private_message {
        body = encoding.NONE,
        attachments = { { url = "u" }, sendapi.file(path), sendapi.file(path) },
      }
    )
    local file = '{"content":"YQ==","filename":"a.txt"}'
    local expected = '"attachments":[{"url":"u"},' .. file .. "," .. file .. "]"
    assert.is_truthy(bytes:find(expected, 1, true), bytes)
  end)

  it("may be empty", function()
    local path = directory:write("empty", "")
    assert.are.equal('{"content":"","filename":"empty"}', written(sendapi.file(path)))
  end)

  it("is exactly what the base64 command makes of it", function()
    local sizes = { 1, 2, 3, 4, 5, 255, 256, 257, 100000 }
    for _, pieces in ipairs { 1, 2, 3 } do
      for around = -3, 3 do
        sizes[#sizes + 1] = pieces * 3 * 4096 + around
      end
    end
    local paths = {}
    for i, size in ipairs(sizes) do
      paths[i] = directory:write("size" .. size, content_of(size))
    end
    for i, expected in ipairs(base64_of(paths)) do
      local line = ('{"content":"%s","filename":"size%d"}'):format(expected, sizes[i])
      assert.is_true(line == written(sendapi.file(paths[i])), "of " .. sizes[i] .. " bytes")
    end
  end)

  it("is read when the message is written", function()
    local path = directory:write("changing", "before")
    local file = sendapi.file(path)
    directory:write("changing", "after!")
    assert.are.equal('{"content":"YWZ0ZXIh","filename":"changing"}', written(file))
    os.remove(path)
    assert_refused("cannot read '" .. path .. "': No such file or directory", file)
  end)

  it("may be a link to one", function()
    local path = directory:write("target", "abc")
    local link = directory:path_of "link"
    shell.run("ln -s " .. shell.quote(path) .. " " .. shell.quote(link))
    assert.are.equal('{"content":"YWJj","filename":"link"}', written(sendapi.file(link)))
  end)

  it("may have a path that is not UTF-8, but no such name", function()
    local path = directory:write("\233t\233.txt", "abc")
    local not_utf8 = "the file's name or type is not valid UTF-8"
    assert_refused(not_utf8, sendapi.file(path))
    assert_refused(not_utf8, sendapi.file(path, { filename = "a\237\160\128" }))
    assert_refused(not_utf8, sendapi.file(path, { filename = "a", type = "\255" }))
    assert.are.equal(
      '{"content":"YWJj","filename":"été.txt"}',
      written(sendapi.file(path, { filename = "été.txt" }))
    )
  end)

  it("takes a name with control characters", function()
    local path = directory:write("a", "abc")
    assert.are.equal(
      [[{"content":"YWJj","filename":"a\u0000\n"}]],
      written(sendapi.file(path, { filename = "a\0\n" }))
    )
  end)
end)

describe("a file that cannot be read is refused:", function()
  local directory

  setup(function()
    directory = temporary.directory()
  end)

  teardown(function()
    directory:remove()
  end)

  local function refused(path, reason)
    assert_refused(("cannot read '%s': %s"):format(path, reason), sendapi.file(path))
  end

  it("one that is missing", function()
    refused(directory:path_of "missing", "No such file or directory")
    refused("", "No such file or directory")
  end)

  it("one below a file", function()
    refused(directory:write("file", "a") .. "/within", "Not a directory")
  end)

  it("one without permission", function()
    local path = directory:write("secret", "a")
    shell.run("chmod 000 " .. shell.quote(path))
    local readable = io.open(path)
    if readable then
      readable:close() -- nothing is forbidden to root
    else
      refused(path, "Permission denied")
    end
  end)

  it("a link to itself", function()
    local path = directory:path_of "itself"
    shell.run("ln -s itself " .. shell.quote(path))
    refused(path, "Too many levels of symbolic links")
  end)

  it("a directory", function()
    refused(directory.path, "not a regular file")
    refused(directory.path .. "/", "not a regular file")
  end)

  it("a device", function()
    refused("/dev/null", "not a regular file")
    refused("/dev/zero", "not a regular file")
  end)

  it("a pipe that nobody writes to, at once", function()
    local path = directory:path_of "pipe"
    shell.run("mkfifo " .. shell.quote(path))
    refused(path, "not a regular file")
  end)

  it("one that opens but cannot be read", function()
    local memory = io.open "/proc/self/mem"
    if memory then
      memory:close()
      refused("/proc/self/mem", "Input/output error")
    end
  end)

  it("one with a path that is too long, and the reason is told", function()
    local path = directory:path_of(("x"):rep(5000))
    local found =
      encoding.problem("messages.create", message { attachments = { sendapi.file(path) } })
    assert.is_truthy(found.message:find(": File name too long$"), found.message)
    assert.is_true(#found.message < 1000)
  end)

  it("one with a hostile path, which is shown in printable ASCII", function()
    local path = directory:path_of "\27[31m\n\255é"
    local found =
      encoding.problem("messages.create", message { attachments = { sendapi.file(path) } })
    assert.is_truthy(found.message:find "^[ -~]*$", found.message)
    assert.is_truthy(found.message:find(": No such file or directory$"), found.message)
  end)

  it("all of them, when all are asked for", function()
    local valid, problems = sendapi.validate(
      "messages.create",
      message {
        attachments = {
          sendapi.file(directory:path_of "missing"),
          { url = "https://u" },
          sendapi.file(directory.path),
        },
      }
    )
    assert.is_nil(valid)
    assert.are.equal(2, #problems)
    assert.are.equal("params.attachments[1]", problems[1].field)
    assert.are.equal("params.attachments[3]", problems[2].field)
  end)

  it("and the next message is written as ever", function()
    encoding.problem("messages.create", message { attachments = { sendapi.file "/dev/null" } })
    assert.are.equal(
      encoding.HEAD .. encoding.TAIL .. encoding.END,
      encoding.bytes("messages.create", message())
    )
  end)
end)

describe("a file", function()
  it("is an attachment and nothing else", function()
    local file = sendapi.file "spec/encode_file_spec.lua"
    local found = encoding.problem("messages.create", message { body = file })
    assert.are.equal("params.body: expected a string, got userdata", found.message)
    found = encoding.problem("messages.create", message { author = file })
    assert.are.equal("params.author: expected a table, got userdata", found.message)
    found = encoding.problem("messages.create", message { attachments = file })
    assert.are.equal("params.attachments: expected a sequence, got userdata", found.message)
    found = encoding.problem("messages.create", file)
    assert.are.equal("params: expected a table, got userdata", found.message)
  end)

  it("says what it is, and hides the rest", function()
    local file = sendapi.file "a"
    assert.are.equal("sendapi.file", tostring(file))
    assert.are.equal("protected", getmetatable(file))
  end)

  local misuses = {
    {
      "no path",
      "path: expected a string, got a nil",
      function()
        sendapi.file()
      end,
    },
    {
      "a path that is a number",
      "path: expected a string, got a number",
      function()
        sendapi.file(5)
      end,
    },
    {
      "a filename that is a number",
      "filename: expected a string, got a number",
      function()
        sendapi.file("a", { filename = 5 })
      end,
    },
    {
      "a type that is a boolean",
      "type: expected a string, got a boolean",
      function()
        sendapi.file("a", { type = true })
      end,
    },
    {
      "a NUL in the path",
      "NUL",
      function()
        sendapi.file "a\0b"
      end,
    },
    {
      "options that are a number",
      "options: expected a table, got a number",
      function()
        sendapi.file("a", 5)
      end,
    },
    {
      "a name in the place of options",
      "options: expected a table, got a string",
      function()
        sendapi.file("a", "b.pdf")
      end,
    },
    {
      "an option that there is not",
      "did you mean 'filename'?",
      function()
        sendapi.file("a", { file_name = "b.pdf" })
      end,
    },
  }
  for _, misuse in ipairs(misuses) do
    it("raises where it is made with " .. misuse[1], function()
      local text = raising.text(misuse[3])
      assert.is_truthy(text:find(misuse[2], 1, true), text)
    end)
  end
end)
