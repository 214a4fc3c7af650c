--- `sendapi outbox`: what it shows of an outbox, and what becomes of dead letters.
local cjson = require "cjson"
local command = require "spec.support.command"
local host = require "sendapi.sandbox.host"
local moment = require "sendapi.cli.moment"
local outbox = require "spec.support.outbox"
local printable = require "sendapi.cli.printable"
local redis = require "spec.support.redis"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"
local shell = require "spec.support.shell"
local temporary = require "spec.support.temporary"
local traffic = require "spec.support.traffic"

local assert_complaint, quote = command.assert_complaint, shell.quote

local HOSTILE = "\27[31mred\194\155\226\128\174back\127" -- a colour, a C1 control, backwards

--- Lines as tables.
local function decode_lines(text)
  local records = {}
  for line in text:gmatch "[^\n]+" do
    records[#records + 1] = cjson.decode(line)
  end
  return records
end

local function assert_harmless(text)
  assert.is_nil(text:find "[%z\1-\9\11-\31\127]")
  assert.is_nil(text:find("\194\155", 1, true))
  assert.is_nil(text:find("\226\128\174", 1, true))
end

describe("sendapi outbox", function()
  local sandbox, directory, place
  local places = 0

  setup(function()
    sandbox = assert(host.start { sources = traffic.sources { plain = {}, viewing = {} } })
    directory = temporary.directory()
  end)

  teardown(function()
    sandbox:stop()
    directory:remove()
  end)

  before_each(function()
    places = places + 1
    place = directory:path_of(places .. ".db")
  end)

  local function run(verb, arguments)
    return command.run(("outbox %s %s %s"):format(verb, quote(place), arguments or ""))
  end

  --- What it prints when all went well.
  local function output_of(verb, arguments)
    local result = run(verb, arguments)
    assert.are.same({ 0, "" }, { result.status, result.errors })
    return result.output
  end

  --- Letters 1 to 3, of threads 42, 42 and 7, then 4 and 5, pending.
  local function fill(source)
    local dead = outbox.messages(1, 2, "42")
    dead[3] = traffic.message(3, "7")
    outbox.bury(sandbox, place, source or "plain", dead)
    outbox.keep(place, source or "plain", outbox.messages(4, 5, "42"))
  end

  local function ids(arguments)
    local found = {}
    for _, record in ipairs(decode_lines(run("ls", "--json " .. (arguments or "")).output)) do
      found[#found + 1] = ("%d"):format(record.id)
    end
    return table.concat(found, " ")
  end

  it("says what there is", function()
    for _, verb in ipairs { "stats", "ls", "show", "retry", "discard" } do
      local result = command.run(("outbox %s --help"):format(verb))
      assert.are.equal(0, result.status)
      assert.matches("^Usage: sendapi outbox " .. verb, result.output)
    end
  end)

  it("counts by source", function()
    fill()
    fill "viewing"
    local line = "%d pending, %d+ bytes, the oldest since 20[%d-]+T[%d:]+Z %([^()]+%); 3 dead\n"
    assert.matches("^plain: " .. line .. "viewing: " .. line .. "$", output_of "stats")
    assert.matches("^viewing: " .. line .. "$", output_of("stats", "--source viewing"))
    assert.are.equal("nobody: 0 pending; 0 dead\n", output_of("stats", "--source nobody"))
    local records = decode_lines(output_of("stats", "--json"))
    assert.are.equal(2, #records)
    local first = records[1]
    assert.are.same({ "plain", 2, 3 }, { first.source, first.pending, first.dead })
    assert.is_true(first.oldest > 1e9 and first.pending_bytes > 100)
  end)

  it("lists a line each", function()
    fill()
    local lines = output_of "ls"
    local shape = "plain  1  20[%d-]+T[%d:]+Z  dead  messages.create  thread 42  %d+ bytes"
    assert.matches("^" .. shape .. "  refused  HTTP 422  1 attempt  No\n", lines)
    assert.matches("\nplain  5  20[%d-]+T[%d:]+Z  pending  messages.create  thread 42", lines)
    local _, count = lines:gsub("\n", "")
    assert.are.equal(5, count)
    assert.are.equal("1 2 3 4 5", ids())
    assert.are.equal("1 2 3", ids "--dead")
    assert.are.equal("4 5", ids "--pending")
    assert.are.equal("3 4 5", ids "--after 2")
    assert.are.equal("4 5", ids "--source plain --after 1 --pending")
    local record = decode_lines(output_of("ls", "--json --limit 5"))[1]
    assert.are.same(
      { "plain", "dead", "refused", 422, "No", "thread 42" },
      { record.source, record.state, record.code, record.status, record.reason, record.lane }
    )
    assert.is_nil(record.body)
    assert_complaint(1, "nothing of that is in the outbox\n", run("ls", "--source nobody"))
    assert_complaint(1, "nothing of that is in the outbox\n", run("ls", "--after 5"))
  end)

  it("says how to go on where a list ends", function()
    fill()
    local result = run("ls", "--limit 2 --json")
    assert.are.equal(0, result.status)
    assert.are.equal(2, #decode_lines(result.output))
    assert.are.equal("sendapi: there is more: --source 'plain' --after 2\n", result.errors)
    assert.are.equal("3 4", ids "--source 'plain' --after 2 --limit 2")
  end)

  it("shows a whole letter, and a whole message", function()
    fill()
    local letter = output_of("show", "3")
    for _, line in ipairs {
      "id            3",
      "state         dead",
      "conversation  thread 7",
      "code          refused",
      "status        422",
      "reason        No",
    } do
      assert.truthy(letter:find("\n" .. line .. "\n", 1, true), letter)
    end
    local body = letter:match '\n\n({\n  "action": "messages.create",\n.*\n})\n$'
    assert.are.equal("3", cjson.decode(body).params.id)
    assert.matches("\nstate         pending\n", output_of("show", "4"))
    local record = decode_lines(output_of("show", "4 --json"))[1]
    assert.are.equal("4", cjson.decode(record.body).params.id)
    assert_complaint(1, "there is no 9 in the outbox\n", run("show", "9"))
    assert_complaint(1, "there is no 1 in the outbox\n", run("show", "1 --source nobody"))
  end)

  it("retries by ids", function()
    fill()
    assert.are.equal("1 retried\n", output_of("retry", "2"))
    assert.are.equal("1 3", ids "--dead")
    local partly = run("retry", "2 3")
    assert.are.same({ 1, "1 retried\n" }, { partly.status, partly.output })
    assert.are.equal("sendapi: no dead letter: 2\n", partly.errors)
    assert.are.equal("1", ids "--dead")
    assert_complaint(1, "no dead letter: 4\n", run("retry", "4"))
    assert.are.equal('{"retried":1}\n', output_of("retry", "1 --json"))
    assert.are.equal("4 5 6 7 8", ids())
  end)

  it("discards by ids, and by what letters have in common", function()
    fill()
    local none = "no dead letter is like that\n"
    assert_complaint(1, none, run("discard", "--code refuse"))
    assert_complaint(1, none, run("discard", "--code refused --action users.create"))
    assert_complaint(1, none, run("discard", "--died-before 2020-01-01"))
    assert_complaint(1, none, run("discard", "--lane 7 --died-after 2100-01-01T00:00:00Z"))
    assert_complaint(1, none, run("discard", "--all --source nobody"))
    assert.are.equal("1 2 3", ids "--dead")
    assert.are.equal("1 discarded\n", output_of("discard", "--lane 7 --died-after 2020-01-01"))
    assert.are.equal("1 2", ids "--dead")
    assert.are.equal("1 discarded\n", output_of("discard", "1 --source plain"))
    assert.are.equal("1 discarded\n", output_of("discard", "--code refused"))
    assert.are.equal("4 5", ids())
  end)

  it("settles the letters of all sources, or of one", function()
    fill()
    fill "viewing"
    local several = "ids are a source's, and the outbox has several"
    assert_complaint(2, several, run("retry", "1"))
    assert_complaint(2, several, run("show", "1"))
    assert.are.equal("1 retried\n", output_of("retry", "1 --source viewing"))
    assert.are.equal("2 discarded\n", output_of("discard", "--all --source viewing"))
    assert.are.equal("3 retried\n", output_of("retry", "--all"))
    assert_complaint(1, "no dead letter is like that\n", run("retry", "--all"))
  end)

  it("sees what others deliver meanwhile, and hands them what is retried", function()
    fill()
    sandbox:clear()
    local client = sendapi.client("plain", send_api.token, {
      base_url = sandbox.http,
      outbox = place,
      log = function() end,
    })
    assert.is_true(client.messages:create(traffic.message(6)))
    assert.are.equal("3 retried\n", output_of("retry", "--all"))
    local arrived = shell.wait_until(function()
      client:poll()
      return #sandbox:received() == 6
    end, 30)
    assert.is_true(arrived)
    local is_empty = shell.wait_until(function()
      return run("stats", "--source plain").output == "plain: 0 pending; 0 dead\n"
    end, 30)
    assert.is_true(is_empty)
    client:close(0)
  end)

  it("lets nothing through that a terminal obeys", function()
    local message = traffic.message(1, "4" .. HOSTILE)
    message.body = HOSTILE
    outbox.bury(sandbox, place, "plain", { message }, "No " .. HOSTILE)
    local line, whole = output_of "ls", output_of("show", "1")
    assert_harmless(line)
    assert_harmless(whole)
    assert.truthy(line:find("thread 4\\u{1B}[31mred\\u{9B}\\u{202E}back\\u{7F}", 1, true), line)
    local json = output_of("show", "1 --json")
    assert_harmless(json)
    local record = decode_lines(json)[1]
    assert.are.equal("thread 4" .. HOSTILE, record.lane)
    assert.are.equal(HOSTILE, cjson.decode(record.body).params.body)
    local complaint = command.run("outbox ls " .. quote("/nowhere/" .. HOSTILE))
    assert.are.equal(1, complaint.status)
    assert_harmless(complaint.errors)
  end)

  it("refuses what it cannot use, and makes nothing", function()
    local which = "say which letters: by their ids, or '--all'"
    local missing = "there is no outbox (" .. place .. ")\n"
    for verb, words in pairs { stats = "", ls = "", show = "1", retry = "1", discard = "--all" } do
      assert_complaint(1, missing, run(verb, words))
    end
    assert.are.equal("", shell.run("ls " .. quote(place) .. "*").output)
    for _, verb in ipairs { "retry", "discard" } do
      assert_complaint(2, which, run(verb))
      assert_complaint(2, which, run(verb, "1 --all"))
      assert_complaint(2, which, run(verb, "1 --code refused"))
      assert_complaint(2, which, run(verb, "--all --lane 42"))
      assert_complaint(2, "expected a whole number above 0, got '-1'", run(verb, "-- -1"))
      assert_complaint(2, "expected a whole number above 0, got '1.5'", run(verb, "1.5"))
      assert_complaint(2, "expected a time such as 2026", run(verb, "--died-after yesterday"))
    end
    assert_complaint(2, "expected a whole number above 0, got 'x'", run("ls", "--limit x"))
    assert_complaint(2, "option '--dead' can not be used", run("ls", "--pending --dead"))
    assert_complaint(2, "missing argument 'id'", run "show")
    assert_complaint(2, "missing argument 'outbox'", command.run "outbox stats")
    assert_complaint(2, "a command is required", command.run "outbox")
    assert_complaint(2, "the outbox is missing: set SENDAPI_OUTBOX", command.run "outbox stats -")
  end)

  it("takes the outbox from the environment", function()
    fill()
    local result = command.run("outbox stats -", "SENDAPI_OUTBOX=" .. quote(place))
    assert.are.equal(0, result.status)
    assert.matches("^plain: 2 pending", result.output)
  end)

  it("tells no password", function()
    for _, arguments in ipairs {
      "outbox stats redis://:secret@127.0.0.1:1/0",
      "outbox stats REDIS://:secret@127.0.0.1:1/0",
      "outbox stats redis://user:secret@",
      "outbox redis://:secret@127.0.0.1:1/0 stats",
      "outbox 'Redis:/:my secret@127.0.0.1:1/0' stats",
      "outbox stats here redis://:secret@127.0.0.1:1/0",
      "redis://:secret@127.0.0.1:1/0",
    } do
      local result = command.run(arguments)
      assert.is_true(result.status > 0)
      assert.matches("^sendapi: ", result.errors)
      assert.is_nil((result.errors .. result.output):find("secret", 1, true), result.errors)
    end
  end)

  it("works on Redis, too", function()
    local server = redis.start()
    place = server.unix_url .. "?timeout=10"
    fill()
    assert.are.equal("1 2 3 4 5", ids())
    assert.are.equal("1 discarded\n", output_of("discard", "--lane 7"))
    assert.are.equal("2 retried\n", output_of("retry", "--all"))
    assert.matches("^plain: 4 pending", output_of "stats")
    server:stop()
    assert_complaint(1, "Redis at ", run "stats")
  end)
end)

describe("a point in time", function()
  it("is written and read in UTC", function()
    for time, text in pairs {
      [0] = "1970-01-01T00:00:00Z",
      [951782400] = "2000-02-29T00:00:00Z",
      [1700000000] = "2023-11-14T22:13:20Z",
      [253402300799] = "9999-12-31T23:59:59Z",
    } do
      assert.are.equal(text, moment.text(time))
      assert.are.equal(time, moment.read(text))
    end
    assert.are.equal(951782400, moment.read "2000-02-29")
    assert.are.equal(1.5, moment.read "1.5")
    for _, time in ipairs { -1, 0 / 0, 1 / 0, 1e300 } do
      assert.are.equal("?", moment.text(time))
      assert.are.equal("?", moment.duration(time))
    end
    for _, word in ipairs { "", "now", "2026-13-01", "2026-01-32", "2026-01-01T24:00:00Z", "-1" } do
      local time, message = moment.read(word)
      assert.is_nil(time)
      assert.is_string(message)
    end
  end)

  it("is so long ago", function()
    local texts = {}
    for i, seconds in ipairs { 0, 59.9, 60, 3599, 3600, 90061, 864000 } do
      texts[i] = moment.duration(seconds)
    end
    assert.are.same(
      { "0 s", "59 s", "1 min 0 s", "59 min 59 s", "1 h 0 min", "1 d 1 h", "10 d 0 h" },
      texts
    )
  end)
end)

describe("a printable text", function()
  it("shows what is harmful by its number, and the rest as it is", function()
    for text, shown in pairs {
      ["a é 😀 \\ ~"] = "a é 😀 \\ ~",
      ["\t\r\n\0\27\127"] = "\\t\\r\\n\\u{0}\\u{1B}\\u{7F}",
      ["\194\133\194\159\194\160"] = "\\u{85}\\u{9F}\194\160",
      ["\226\128\139\226\129\166\239\187\191"] = "\\u{200B}\\u{2066}\\u{FEFF}",
      ["\243\160\128\129"] = "\\u{E0001}",
      ["\255\192\175\237\160\128"] = "\\xFF\\xC0\\xAF\\xED\\xA0\\x80",
      ["é\226\128"] = "é\\xE2\\x80",
    } do
      assert.are.equal(shown, printable.text(text))
    end
  end)

  it("stays the same value as JSON", function()
    local text = '"é\127\226\128\174\243\160\128\129"'
    local shown = printable.json(text)
    assert.are.equal('"é\\u007F\\u202E\\uDB40\\uDC01"', shown)
    assert.are.equal(cjson.decode(text), cjson.decode(shown))
    assert.are.equal('"\\uFFFD"', printable.json '"\255"')
  end)

  it("is indented when it is JSON", function()
    for text, shown in pairs {
      ["{}"] = "{}",
      [" [ ] "] = "[]",
      ["1.50"] = "1.50",
      ['{"a":[1,{"b":null}],"c":{}}'] = [[
{
  "a": [
    1,
    {
      "b": null
    }
  ],
  "c": {}
}]],
      ['["{\\"[\\\\",\n"\226\128\174"]'] = '[\n  "{\\"[\\\\",\n  "\\u202E"\n]',
    } do
      assert.are.equal(shown, printable.pretty(text))
    end
  end)
end)
