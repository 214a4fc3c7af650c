--- The poller and a connector of this library, in one program.
local new_poller = require("sendapi.sandbox.poller").new
local sendapi = require "sendapi"

local TOKEN = "3YJZzqMJ5Ec7i2JGvnt8TgvleD7dtpwpmag4S6MuRA2GQdfvV4STIsxDRJ4fEjO8"

describe("the poller and a connector", function()
  local posts, by_id, tries, waiting, log

  local function add(id, body)
    local author = { id = "u", screenname = "U", created_at = 1 }
    by_id[id] = { id = id, thread_id = "t", body = body or "b" .. id, author = author }
    posts[#posts + 1] = by_id[id]
    return by_id[id]
  end

  local function create(params)
    tries = tries + 1
    if params.body == "later" and tries < 3 then
      return nil, "not now"
    elseif params.body == "never" then
      return nil, { message = "no such thread", fatal = true }
    elseif params.body == "broken" then
      error "secret"
    end
    return add("c" .. #posts, params.body)
  end

  local function start(token)
    posts, by_id, tries, waiting, log = {}, {}, 0, nil, {}
    local connector = sendapi.connector(TOKEN, {
      messages = {
        list = function(params)
          return sendapi.page(posts, params.since_id, 2)
        end,
        show = function(params)
          return by_id[params.id]
        end,
        create = create,
        spam = function(params)
          by_id[params.id].categories = { "spam" }
          return by_id[params.id]
        end,
      },
      messaging = {
        queuing_update = function(params)
          waiting = params.position
        end,
      },
      locales = { default = { spam = "Spam!" } },
      log = function(_, message)
        log[#log + 1] = message
      end,
    })
    return new_poller {
      token = token or TOKEN,
      now = os.time,
      sign = sendapi.sign,
      exchange = function(body, signature)
        return connector:handle(body, signature)
      end,
    }
  end

  local function ids(objects)
    local list = {}
    for i, object in ipairs(objects) do
      list[i] = object.id
    end
    return table.concat(list, " ")
  end

  it("agree on what there is, page by page, and on what comes later", function()
    local poller = start()
    for _, id in ipairs { "5", "3", "9", "1", "7" } do
      add(id)
    end
    assert.are.equal("5 3 9 1 7", ids(assert(poller:synchronise()).messages))
    local declared = { list = true, show = true, create = true, spam = true }
    assert.same(declared, poller.info.objects.messages)
    assert.are.equal("Spam!", poller.info.locales.default.spam)
    assert.are.equal("", ids(assert(poller:synchronise()).messages))
    add "2"
    assert.are.equal("2", ids(assert(poller:synchronise()).messages))
    assert.same({ "spam" }, poller.objects.messages.by_id["2"].actions)
  end)

  it("agree on what an agent writes, with as many tries as it takes", function()
    local poller = start()
    assert.are.equal("c0", assert(poller:create("messages", { body = "now" })).id)
    assert.are.equal(1, tries)
    tries = 0
    assert.are.equal("c1", assert(poller:create("messages", { body = "later" })).id)
    assert.are.equal(3, tries)
    tries = 0
    local created, problem = poller:create("messages", { body = "never" })
    assert.is_nil(created)
    assert.are.equal("resource error: no such thread", problem.message)
    assert.are.equal(1, tries)
    tries = 0
    created, problem = poller:create("messages", { body = "broken" })
    assert.is_nil(created)
    assert.are.equal("resource_error", problem.code)
    assert.is_nil(problem.message:find("secret", 1, true))
    assert.are.equal(3, tries)
  end)

  it("agree on a repeated create", function()
    local poller = start()
    local first = assert(poller:create("messages", { body = "a", content_id = "1" }))
    local second = assert(poller:create("messages", { body = "a", content_id = "1" }))
    assert.are.equal(first.id, second.id)
    assert.are.equal(1, tries)
  end)

  it("agree on buttons, on what is shown, and on who waits", function()
    local poller = start()
    add "5"
    assert(poller:synchronise())
    assert.are.equal("b5", assert(poller:show("messages", "5")).body)
    assert.are.equal("unknown", select(2, poller:show("messages", "6")).code)
    local object = assert(poller:perform("messages.spam", { id = "5" }))
    assert.same({ "spam" }, object.categories)
    assert.is_true(poller:queuing_update { position = 4, estimated_wait_time = 1, thread_id = "t" })
    assert.are.equal(4, waiting)
  end)

  it("do not agree with another token", function()
    local poller = start "another"
    local result, problem = poller:synchronise()
    assert.is_nil(result)
    assert.are.equal("status 403: Invalid signature", problem.message)
    assert.are.equal(1, #log)
  end)
end)
