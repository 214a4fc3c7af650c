--- Does one thing by the library, as a program of a user would.
--
--   lua5.4 spec/browser/send.lua BASE_URL SOURCE_ID TOKEN OBJECT OPERATION PARAMS
--
-- PARAMS is JSON. Raises what went wrong.
local cjson = require "cjson"
local sendapi = require "sendapi"

local client = sendapi.client(arg[2], arg[3], { base_url = arg[1] })
local object = client[arg[4]]
local ok, failure = object[arg[5]](object, cjson.decode(arg[6]))
assert(ok, tostring(failure))
