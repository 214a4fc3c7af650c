--- Polls a connector over HTTP, as Engage Digital does.
local core = require "sendapi.core"
local poller = require "sendapi.sandbox.poller"
local sendapi = require "sendapi"

local polling = {}

--- A poller of what answers at a url. Its `lost` is how many of the answers to come do not arrive,
-- though the connector gave them.
---@param url string
---@param token string
---@return sendapi.sandbox.Poller
function polling.of(url, token)
  local self
  local function exchange(body, signature)
    local answer, message = core.exchange {
      url = url,
      body = body,
      headers = { "Content-Type: application/json", "X-SMCCSDK-SIGNATURE: " .. signature },
      timeout = 20,
    }
    if not answer then
      return nil, message
    elseif self.lost > 0 then
      self.lost = self.lost - 1
      return nil, "the answer was lost"
    end
    return answer.status, answer.body, answer.headers
  end
  self = poller.new { token = token, sign = sendapi.sign, now = os.time, exchange = exchange }
  self.lost = 0
  return self
end

return polling
