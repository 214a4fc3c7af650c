--- The examples run as they stand, as a user would run them.
local host = require "sendapi.sandbox.host"
local shell = require "spec.support.shell"

local LUA = jit and "luajit" or "lua" .. _VERSION:match "%d%.%d"

describe("the examples", function()
  it("deliver all seven actions and see four refused: demo.lua", function()
    local result = shell.run(LUA .. " examples/demo.lua")
    assert.equal(0, result.status, result.output .. result.errors)
    local _, right = result.output:gsub("\n%+ client", "")
    assert.equal(11, right)
    assert.truthy(result.output:find("All as it should be.", 1, true))
  end)

  describe("quickstart.lua", function()
    local sandbox

    setup(function()
      sandbox = assert(host.start {
        sources = {
          ["8da592bc6fcf8bae41b2"] = {
            token = "56e79ea426735090665b1c107c757d6d3a692c061335e4728899af27f215edf3",
          },
        },
      })
    end)

    teardown(function()
      sandbox:stop()
    end)

    it("sends what the documents' PHP example sends", function()
      local command = ("SENDAPI_BASE_URL=%s %s examples/quickstart.lua"):format(sandbox.http, LUA)
      local result = shell.run(command)
      assert.equal("200: ok\n", result.output)
      assert.equal(
        '{"action":"messages.create","params":{"id":"890","author":{"id":"42",'
          .. '"created_at":"06/11/2017","screenname":"Alice"},"body":"Nice post!",'
          .. '"thread_id":"888"}}',
        sandbox:received()[1].body
      )
    end)

    it("says what went wrong", function()
      local command = "SENDAPI_BASE_URL=http://127.0.0.1:1 " .. LUA .. " examples/quickstart.lua"
      assert.truthy(shell.run(command).output:find("^not delivered: connection_refused: "))
    end)
  end)
end)
