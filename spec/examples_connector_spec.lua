--- The examples of connectors run as they stand, and Engage Digital is played towards them.
local nginx = require "spec.support.nginx"
local polling = require "spec.support.polling"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"
local shell = require "spec.support.shell"
local sockets = require "cqueues.socket"
local temporary = require "spec.support.temporary"

local TOKEN = send_api.token

local function conforms(url, options)
  local report = sendapi.check(url, TOKEN, options)
  assert.is_true(report.ok, tostring(report))
  assert.is_true(report.passed > 5, tostring(report))
end

describe("#house the example", function()
  if not nginx.core() then
    pending "needs a core for LuaJIT"
    return
  end

  local directory, running

  before_each(function()
    directory = temporary.directory()
  end)

  after_each(function()
    if running then
      running:stop()
      running = nil
    end
    directory:remove()
  end)

  --- Whatever serves it: lists nothing, hands replies on, each once.
  local function is_real_time_only(url, replies)
    local poller = polling.of(url, TOKEN)
    assert.same({ messages = {} }, (assert(poller:synchronise())))
    assert.same({ create = true, list = true }, poller.info.objects.messages)
    poller.lost = 2
    local created = assert(poller:create("messages", { thread_id = "42", body = "Hello\nyou" }))
    assert.truthy(created.id:find "^reply%-.")
    local second = assert(poller:create("messages", { thread_id = "43", body = "Ünï\t'\"<" }))
    assert.are_not.equal(created.id, second.id)
    assert.equal("42\tHello you\n43\tÜnï '\"<\n", shell.read_file(replies))
    local tried = {}
    for _, exchange in ipairs(poller.wire) do
      tried[#tried + 1] = exchange.action == "messages.create" and exchange.verdict or nil
    end
    assert.same({ "no_answer", "no_answer", "ok", "ok" }, tried)
    poller.lost = 3
    local _, problem = poller:create("messages", { thread_id = "42", body = "Never heard of" })
    assert.equal("no_answer", problem.code)
  end

  describe("realtime_only.lua", function()
    it("has 20 lines of code", function()
      local count = 0
      for line in io.lines "examples/connector/realtime_only.lua" do
        count = count + ((line:find "^%s*%-%-" or line == "") and 0 or 1)
      end
      assert.is_true(count <= 20)
    end)

    it("hands nothing on that it cannot answer", function()
      local script = directory:write("script.lua", [[
        local body = '{"action":"messages.create","params":{"body":"Whose?"}}'
        local signature = require("sendapi").sign(os.getenv "SENDAPI_TOKEN", body)
        print(select(2, require("realtime_only"):handle(body, signature)))]])
      local replies = directory:path_of "replies"
      local command = "LUA_PATH=examples/connector/?.lua';'\"$LUA_PATH\" "
        .. "SENDAPI_TOKEN=%s REPLIES=%s %s %s"
      local result = shell.run(command:format(TOKEN, replies, shell.lua, script))
      assert.truthy(result.output:find('^{"error":{"fatal":false,'), result.errors)
      assert.is_nil(io.open(replies))
    end)

    it("runs in nginx", function()
      local replies = directory:path_of "replies"
      local variables = { SENDAPI_TOKEN = TOKEN, REPLIES = replies }
      running = nginx.start_example("examples/connector", variables)
      is_real_time_only(running.url .. "/connector", replies)
      conforms(running.url .. "/connector")
      assert.same({}, running:complaints())
    end)
  end)

  describe("any_server.lua", function()
    local pid, socket, output

    after_each(function()
      shell.run("kill " .. pid)
    end)

    --- Starts it, and an nginx without Lua before it, by the location in its comment.
    local function start(replies)
      socket, output = directory:path_of "connector.sock", directory:path_of "output"
      local command = "cd examples/connector && SENDAPI_TOKEN=%s REPLIES=%s "
        .. "%s any_server.lua %s >%s 2>&1 & echo $!"
      pid = shell.run(command:format(TOKEN, replies, shell.lua, socket, output)).output:match "%d+"
      assert.truthy(shell.wait_until(function()
        return shell.run("test -S " .. socket).status == 0
      end, 10))
      local program = shell.read_file "examples/connector/any_server.lua"
      local location = program:match("location.-\n%-%-   }"):gsub("\n%-%-", "\n")
      location = location:gsub("/run/connector.sock", socket)
      local conf = [[
        pid nginx.pid;
        error_log error.log notice;
        events { }
        http {
          access_log off;
          client_body_temp_path temporary;
          proxy_temp_path temporary;
          fastcgi_temp_path temporary;
          uwsgi_temp_path temporary;
          scgi_temp_path temporary;
          server { listen 80; %s }
        }]]
      shell.run("mkdir " .. directory:path_of "server")
      directory:write("server/scgi_params", shell.read_file "/etc/nginx/scgi_params")
      directory:write("server/nginx.conf", conf:format(location))
      running = nginx.start_example(directory:path_of "server", {})
    end

    it("runs behind whatever speaks SCGI", function()
      local replies = directory:path_of "replies"
      start(replies)
      is_real_time_only(running.url .. "/connector", replies)
      conforms(running.url .. "/connector")
      local status, body = running:get "/connector"
      assert.equal(405, status)
      assert.equal("Method not allowed", body)
      assert.equal("", shell.read_file(output):gsub("sendapi: warn: connector: [^\n]+\n", ""))
      assert.same({}, running:complaints())
    end)

    it("lives on after what is not SCGI, or ends early", function()
      local replies = directory:path_of "replies"
      local inputs = { "", "7", ":", "x", "3:abc", "3:abc;", "9999999:", "0:,", "99:a\0b" }
      start(replies)
      for _, bytes in ipairs(inputs) do
        local connection = sockets.connect { path = socket }
        connection:setmode("b", "b")
        assert(connection:write(bytes))
        connection:flush()
        connection:close()
      end
      is_real_time_only(running.url .. "/connector", replies)
    end)
  end)

  describe("posts", function()
    local url, poller, variables

    local function start()
      variables = { SENDAPI_TOKEN = TOKEN, POSTS = directory:path_of "posts.db" }
      running = nginx.start_example("examples/posts", variables)
      url = running.url .. "/connector"
      poller = polling.of(url, TOKEN)
    end

    --- Runs Lua with its module `posts`, in a process of its own; gives what it prints.
    local function with_posts(code)
      local script = directory:write("script.lua", "local posts = require 'posts'\n" .. code)
      local prefix = "LUA_PATH='examples/posts/?.lua;;' POSTS=" .. directory:path_of "posts.db"
      local result = shell.run(("%s %s %s"):format(prefix, shell.lua, script))
      assert.equal("", result.errors)
      return result.output
    end

    local function add_many(count)
      with_posts(([[
        for number = 1, %d do
          local thread = "t" .. number %% 3
          posts.add { thread = thread, author = "7", name = "Ann", body = "Post " .. number }
        end]]):format(count))
    end

    it("lists every post once, whatever came before, in pages", function()
      start()
      assert.same({ messages = {} }, (assert(poller:synchronise())))
      add_many(250)
      local arrived = assert(poller:synchronise()).messages
      assert.equal(250, #arrived)
      for number, post in ipairs(arrived) do
        assert.equal("Post " .. number, post.body)
        assert.equal("t" .. number % 3, post.thread_id)
        assert.same({ "delete", "spam" }, post.actions)
        assert.equal("Ann", post.author.screenname)
      end
      assert.equal(0, #assert(poller:synchronise()).messages)
      add_many(1)
      assert.equal(1, #assert(poller:synchronise()).messages)
      assert.same({ ham = "Not spam", spam = "Mark as spam" }, poller.info.locales.default)
      assert.same("Marquer comme indésirable", poller.info.locales.fr.spam)
      assert.same({}, running:complaints())
    end)

    it("does what agents ask for, once, whoever asks how often", function()
      start()
      assert(poller:synchronise())
      add_many(2)
      poller.lost = 2
      local reply = assert(poller:create("messages", {
        body = "Thanks!",
        in_reply_to_id = "1",
        thread_id = "t1",
        sender_name = "Support",
      }))
      assert.equal("3", reply.id)
      assert.equal("1", reply.in_reply_to_id)
      assert.equal("Support", reply.author.screenname)
      assert.equal(3, #assert(poller:synchronise()).messages)
      local spam = assert(poller:perform("messages.spam", { id = "2" }))
      assert.same({ "delete", "ham" }, spam.actions)
      local ham = assert(poller:perform("messages.ham", { id = "2" }))
      assert.same({ "delete", "spam" }, ham.actions)
      poller.lost = 1
      assert.equal("2", assert(poller:perform("messages.delete", { id = "2" })).id)
      local _, problem = poller:show("messages", "2")
      assert.equal("unknown", problem.code)
      assert.equal("Post 1", assert(poller:show("messages", "1")).body)
      _, problem = poller:create("messages", { body = "Too late", in_reply_to_id = "2" })
      assert.is_true(problem.fatal)
      assert.same({}, running:complaints())
    end)

    it("takes hostile texts and ids for what they are", function()
      start()
      assert(poller:synchronise())
      add_many(1)
      local hostile = "x'); DROP TABLE posts; -- ? %s \\ \" Ünï <script>"
      local created = assert(poller:create("messages", {
        body = hostile,
        author_id = hostile,
        sender_name = hostile,
        thread_id = hostile,
      }))
      assert.equal(hostile, created.body)
      assert.equal(hostile, created.author.id)
      assert.equal(hostile, created.thread_id)
      local with_nul = assert(poller:create("messages", { body = "be\0fore" }))
      assert.equal("before", with_nul.body)
      for _, id in ipairs { "1 OR 1=1", "1'--", "1e3", "-1", "0x1", ("9"):rep(400), 1.5 } do
        local _, problem = poller:show("messages", id)
        assert.equal("unknown", problem.code)
        _, problem = poller:perform("messages.delete", { id = id })
        assert.is_true(problem.fatal)
      end
      assert.equal(3, #assert(poller:synchronise()).messages)
      assert.same({}, running:complaints())
    end)

    it("opens its table again after it could not", function()
      directory:write("posts.db", ("no database "):rep(100))
      local output = with_posts [[
        print((pcall(posts.list, 0)))
        os.remove(os.getenv "POSTS")
        print(#posts.list(0))]]
      assert.equal("false\n0\n", output)
    end)

    it("keeps no post that could not be listed", function()
      start()
      assert(poller:synchronise())
      for _, body in ipairs { "", "\0", { "Hello" } } do
        local _, problem = poller:create("messages", { body = body })
        assert.is_true(problem.fatal)
      end
      local _, problem = poller:create("messages", { thread_id = "t1" })
      assert.is_true(problem.fatal)
      for _, absent in ipairs { "", "\0", { "x" } } do
        assert(poller:create("messages", {
          body = "Hello",
          author_id = absent,
          sender_name = absent,
          thread_id = absent,
        }))
      end
      local arrived = assert(poller:synchronise()).messages
      assert.equal(3, #arrived)
      for _, post in ipairs(arrived) do
        assert.same({ "agent", "Our team", "board" }, {
          post.author.id,
          post.author.screenname,
          post.thread_id,
        })
      end
      assert.same({}, running:complaints())
    end)

    it("conforms", function()
      start()
      assert(poller:synchronise())
      add_many(120)
      conforms(url)
      assert.same({}, running:complaints())
    end)
  end)
end)
