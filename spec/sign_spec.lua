-- Signatures: `sendapi.sign`, `sendapi.verify` and the core's signer.
local core = require "sendapi.core"
local hmac = require "spec.support.hmac"
local openssl = require "spec.support.openssl"
local raising = require "spec.support.raising"
local sendapi = require "sendapi"

local TOKEN = "3YJZzqMJ5Ec7i2JGvnt8TgvleD7dtpwpmag4S6MuRA2GQdfvV4STIsxDRJ4fEjO8"
local BODY = '{"action":"implementation.info","time":"2012-10-01T17:18:40Z"}'
local HEX = "826b61e7939505b2e773ef43a2aad53ec0385dd9d783fbd1c8fea00d0e2a3e2f"
  .. "b0ae0a5b2eb342356b61c41b5f19baec4c1f7e7e37a5b486fe9b593942017ff9"

describe("a signature", function()
  it("is the one that the protocol publishes", function()
    assert.are.equal(HEX, sendapi.sign(TOKEN, BODY))
  end)

  -- RFC 4231, section 4; its fifth case is cut to 128 bits.
  local vectors = {
    {
      "1: a short key",
      ("\11"):rep(20),
      "Hi There",
      "87aa7cdea5ef619d4ff0b4241a1d6cb02379f4e2ce4ec2787ad0b30545e17cde"
        .. "daa833b7d6b8a702038b274eaea3f4e4be9d914eeb61f1702e696c203a126854",
    },
    {
      "2: a key shorter than the digest",
      "Jefe",
      "what do ya want for nothing?",
      "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        .. "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737",
    },
    {
      "3: more than a block together",
      ("\170"):rep(20),
      ("\221"):rep(50),
      "fa73b0089d56a284efb0f0756c890be9b1b5dbdd8ee81a3655f83e33b2279d39"
        .. "bf3e848279a722c806b485a47e67c807b946a337bee8942674278859e13292fb",
    },
    {
      "4: a key of 25 bytes",
      "\1\2\3\4\5\6\7\8\9\10\11\12\13\14\15\16\17\18\19\20\21\22\23\24\25",
      ("\205"):rep(50),
      "b0ba465637458c6990e5a8c5f61d4af7e576d97ff94b872de76f8050361ee3db"
        .. "a91ca5c11aa25eb4d679275cc5788063a5f19741120c4f2de2adebeb10a298dd",
    },
    {
      "5: cut",
      ("\12"):rep(20),
      "Test With Truncation",
      "415fad6271580a531d4179bc891d87a6",
    },
    {
      "6: a key longer than a block",
      ("\170"):rep(131),
      "Test Using Larger Than Block-Size Key - Hash Key First",
      "80b24263c7c1a3ebb71493c1dd7be8b49b46d1f41b4aeec1121b013783f8f352"
        .. "6b56d037e05f2598bd0fd2215d6a1e5295e64f73f63f0aec8b915a985d786598",
    },
    {
      "7: a key and a body longer than a block",
      ("\170"):rep(131),
      "This is a test using a larger than block-size key and a larger than block-size data. "
        .. "The key needs to be hashed before being used by the HMAC algorithm.",
      "e37b6a775dc87dbaa4dfa9f96e5e3ffddebd71f8867289865df5a32d20cdc944"
        .. "b6022cac3c4982b10d5eeb55c3e4de15134676fb6de0446065c97440fa8c6a58",
    },
  }
  for _, vector in ipairs(vectors) do
    it("is that of RFC 4231, case " .. vector[1], function()
      local hex = sendapi.sign(vector[2], vector[3])
      assert.are.equal(vector[4], hex:sub(1, #vector[4]))
      assert.is_true(sendapi.verify(vector[2], vector[3], hex))
    end)
  end

  local every_byte = {}
  for byte = 0, 255 do
    every_byte[byte + 1] = string.char(byte)
  end
  every_byte = table.concat(every_byte)

  it("is what openssl makes of a text, given the token as a text", function()
    for _, body in ipairs { "", "{}", BODY, "é€😀\n" } do
      assert.are.equal(openssl.sign(TOKEN, body), sendapi.sign(TOKEN, body))
    end
  end)

  it("is what openssl makes of any bytes, under any key", function()
    local bodies = { "", "\0", "a\0b", every_byte, ("x"):rep(1000000), ("\255\0"):rep(5000) }
    for _, length in ipairs { 1, 111, 112, 127, 128, 129, 239, 240, 255, 256, 257 } do
      bodies[#bodies + 1] = ("b"):rep(length)
    end
    local keys = { "k", "\0", "a\0b", every_byte, "\255\254", TOKEN }
    for _, length in ipairs { 127, 128, 129, 1000 } do
      keys[#keys + 1] = ("k"):rep(length)
    end
    for _, key in ipairs(keys) do
      for i, expected in ipairs(hmac.sign_all(key, bodies)) do
        assert.are.equal(expected, sendapi.sign(key, bodies[i]))
        assert.is_true(sendapi.verify(key, bodies[i], expected))
      end
    end
  end)

  it("is the same from a signer that is used again and again", function()
    local signer = core.signer(TOKEN)
    for _ = 1, 100 do
      assert.are.equal(HEX, signer:sign(BODY))
      assert.are.equal(sendapi.sign(TOKEN, "x"), signer:sign "x")
      assert.is_true(signer:verify(BODY, HEX))
      assert.is_false(signer:verify("x", HEX))
    end
    signer:close()
  end)
end)

describe("verify", function()
  local verify = sendapi.verify

  it("accepts the right signature, in either case of its letters", function()
    assert.is_true(verify(TOKEN, BODY, HEX))
    assert.is_true(verify(TOKEN, BODY, HEX:upper()))
    assert.is_true(verify(TOKEN, BODY, HEX:sub(1, 64):upper() .. HEX:sub(65)))
  end)

  it("refuses a missing one", function()
    assert.is_false(verify(TOKEN, BODY))
    assert.is_false(verify(TOKEN, BODY, nil))
  end)

  it("refuses one of another length", function()
    for _, hex in ipairs {
      "",
      HEX:sub(1, 127),
      HEX:sub(2),
      HEX .. "0",
      HEX .. HEX,
      " " .. HEX,
      HEX .. "\n",
      HEX .. "\0",
      ("0"):rep(1000000),
    } do
      assert.is_false(verify(TOKEN, BODY, hex))
    end
  end)

  it("refuses one with any character changed", function()
    for at = 1, #HEX do
      local digit = tonumber(HEX:sub(at, at), 16)
      local before, after = HEX:sub(1, at - 1), HEX:sub(at + 1)
      for step = 1, 15 do
        local changed = before .. ("%x"):format((digit + step) % 16) .. after
        assert.is_false(verify(TOKEN, BODY, changed))
      end
      for _, other in ipairs { "g", "\0", "\255", " ", "@", "`", "G" } do
        assert.is_false(verify(TOKEN, BODY, before .. other .. after))
      end
    end
  end)

  it("lets the bit between the cases differ in letters only", function()
    for at = 1, #HEX do
      local other = string.char(HEX:byte(at) - 32)
      local changed = HEX:sub(1, at - 1) .. other .. HEX:sub(at + 1)
      assert.are.equal(HEX:sub(at, at):find "%a" ~= nil, verify(TOKEN, BODY, changed))
    end
  end)

  it("refuses another body or token", function()
    assert.is_false(verify(TOKEN, BODY .. " ", HEX))
    assert.is_false(verify(TOKEN, BODY:sub(2), HEX))
    assert.is_false(verify(TOKEN, "", HEX))
    assert.is_false(verify(TOKEN .. "x", BODY, HEX))
    assert.is_false(verify(TOKEN:sub(1, -2), BODY, HEX))
    assert.is_false(verify(TOKEN:lower(), BODY, HEX))
  end)

  -- HMAC fills a short key with zero bytes, so this is no fault of the code.
  it("cannot tell a token from the same with NULs behind it", function()
    assert.is_true(verify(TOKEN .. "\0", BODY, HEX))
  end)
end)

describe("a wrong argument raises where it is given:", function()
  local misuses = {
    {
      "no token to sign with",
      "token: expected a string, got a nil",
      function()
        sendapi.sign(nil, BODY)
      end,
    },
    {
      "a number for a token",
      "token: expected a string, got a number",
      function()
        sendapi.sign(5, BODY)
      end,
    },
    {
      "no body to sign",
      "body: expected a string, got a nil",
      function()
        sendapi.sign(TOKEN)
      end,
    },
    {
      "a table to sign",
      "body: expected a string, got a table",
      function()
        sendapi.sign(TOKEN, {})
      end,
    },
    {
      "no token to verify with",
      "token: expected a string, got a nil",
      function()
        sendapi.verify(nil, BODY, HEX)
      end,
    },
    {
      "no body to verify",
      "body: expected a string, got a nil",
      function()
        sendapi.verify(TOKEN, nil, HEX)
      end,
    },
    {
      "a signature that is a number",
      "hex: expected a string, got a number",
      function()
        sendapi.verify(TOKEN, BODY, 826)
      end,
    },
    {
      "a signature that is false",
      "hex: expected a string, got a boolean",
      function()
        sendapi.verify(TOKEN, BODY, false)
      end,
    },
  }
  for _, misuse in ipairs(misuses) do
    it(misuse[1], function()
      assert.are.equal(misuse[2], raising.text(misuse[3]))
    end)
  end
end)

describe("a signer", function()
  local signer

  before_each(function()
    signer = core.signer(TOKEN)
  end)

  after_each(function()
    signer:close()
  end)

  it("shows nothing of its token", function()
    assert.are.equal("sendapi.signer", tostring(signer))
    assert.are.equal("protected", getmetatable(signer))
    assert.is_nil(signer.token)
  end)

  it("shows nothing of its token in an error", function()
    local closed = core.signer(TOKEN)
    closed:close()
    for _, call in ipairs {
      function()
        signer:sign()
      end,
      function()
        signer:sign {}
      end,
      function()
        signer:verify(BODY)
      end,
      function()
        signer.sign(TOKEN, BODY)
      end,
      function()
        return signer .. ""
      end,
      function()
        return signer + 1
      end,
      function()
        signer.token = ""
      end,
      function()
        closed:sign(BODY)
      end,
    } do
      local fine, message = pcall(call)
      assert.is_false(fine)
      assert.is_nil(tostring(message):find(TOKEN, 1, true))
    end
  end)

  it("raises where it is used once it is closed", function()
    signer:close()
    for _, call in ipairs {
      function()
        signer:sign(BODY)
      end,
      function()
        signer:verify(BODY, HEX)
      end,
    } do
      assert.is_truthy(raising.text(call):find("the signer is closed", 1, true))
    end
    assert.are.equal("sendapi.signer", tostring(signer))
  end)

  it("may be closed twice", function()
    signer:close()
    signer:close()
  end)

  it("has a token that is a string", function()
    assert.is_false(pcall(core.signer))
    assert.is_false(pcall(core.signer, {}))
  end)
end)
