--- A sandbox, and clients of its sources that are closed after each test.
local host = require "sendapi.sandbox.host"
local send_api = require "spec.support.send_api"
local sendapi = require "sendapi"

local clients = {}

---@class spec.Clients
---@field sandbox sendapi.sandbox.Host while it runs
---@field list sendapi.Client[]        made by `new` since the last `close`
---@field start fun(): sendapi.sandbox.Host for `setup`
---@field stop fun()                   for `teardown`
---@field clear fun()                  for `before_each`: nothing was received
---@field close fun()                  for `after_each`: what is under way is given up

--- Of a sandbox with these sources. Clients have the token of `send_api`.
---@param sources table<string, table>
---@return spec.Clients
function clients.of(sources)
  local self = { list = {} }

  function self.start()
    self.sandbox = assert(host.start { sources = sources })
    return self.sandbox
  end

  function self.stop()
    self.sandbox:stop()
  end

  function self.clear()
    self.sandbox:clear()
  end

  function self.close()
    for _, client in ipairs(self.list) do
      client:close(0)
    end
    self.list = {}
  end

  --- A client of a source, over HTTP unless the options say otherwise.
  function self.new(source_id, options)
    options = options or {}
    options.base_url = options.base_url or self.sandbox.http
    options.ca_file = options.ca_file or self.sandbox.ca_file
    self.list[#self.list + 1] = sendapi.client(source_id, send_api.token, options)
    return self.list[#self.list]
  end

  return self
end

return clients
