-- export SENDAPI_DOMAIN=yourdomain, then: lua5.4 examples/quickstart.lua
local sendapi = require "sendapi"

local access_token = "56e79ea426735090665b1c107c757d6d3a692c061335e4728899af27f215edf3"
local client = sendapi.client("8da592bc6fcf8bae41b2", access_token) -- source id, access token

local ok, err = client.messages:create {
  id = "890",
  author = { id = "42", created_at = "06/11/2017", screenname = "Alice" },
  body = "Nice post!",
  thread_id = "888",
}

print(ok and "200: ok" or "not delivered: " .. err)
