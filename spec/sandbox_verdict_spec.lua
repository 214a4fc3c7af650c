--- Why a signature is wrong, for every reason that is told apart.
local openssl = require "spec.support.openssl"
local send_api = require "spec.support.send_api"
local serialisations = require "sendapi.sandbox.serialisations"
local verdict = require "sendapi.sandbox.verdict"

local TOKEN = send_api.token
local BODY = '{"b":"a/\195\169","a":[1.50,{},"\\n"],"c":true}'

--- Stands for HMAC: quick, and another for other bytes or another token.
local function sign(token, body)
  local sum = 7
  for _, text in ipairs { token, "\0", body } do
    for i = 1, #text do
      sum = (sum * 31 + text:byte(i)) % 2147483647
    end
  end
  return ("%08x"):format(sum):rep(16)
end

local function judge(signature, body, more)
  local signed = {
    body = body or BODY,
    signature = signature,
    source = "plain",
    tokens = { plain = TOKEN, other = "another token" },
    sign = sign,
  }
  for name, value in pairs(more or {}) do
    signed[name] = value
  end
  return verdict.of(signed)
end

local function assert_why(part, signature, body)
  local found = judge(signature, body)
  assert.is_false(found.right)
  assert.is_truthy(found.why:find(part, 1, true), found.why)
  assert.is_nil(found.why:find(TOKEN, 1, true))
end

describe("the verdict on a signature", function()
  it("is right for the right one, in either case", function()
    assert.same({ right = true }, judge(sign(TOKEN, BODY)))
    assert.same({ right = true }, judge(sign(TOKEN, BODY):upper()))
  end)

  it("is right for what OpenSSL has signed", function()
    local right = judge(openssl.sign(TOKEN, BODY), BODY, { sign = openssl.sign })
    assert.same({ right = true }, right)
  end)

  it("tells a missing one", function()
    assert_why("missing", nil)
    assert_why("missing", "")
  end)

  it("tells what cannot be one", function()
    assert_why("64 characters, the length of SHA-256", ("0"):rep(64))
    assert_why("127 characters;", ("0"):rep(127))
    assert_why("not hex", ("g"):rep(128))
    assert_why("not hex", "\0\255")
    assert_why("base64", ("A"):rep(86) .. "==")
    assert_why("prefix", "sha512=" .. sign(TOKEN, BODY))
    assert_why("spaces", " " .. sign(TOKEN, BODY))
  end)

  it("names the source whose token it was", function()
    assert_why('the token of the source "other"', sign("another token", BODY))
  end)

  it("tells a token that was changed on its way", function()
    assert_why("line break behind it", sign(TOKEN .. "\n", BODY))
    assert_why("upper case", sign(TOKEN:upper(), BODY))
    assert_why("decoded from hex", sign((TOKEN:gsub("%x%x", function(digits)
      return string.char(tonumber(digits, 16))
    end)), BODY))
    assert_why("wrong way round", sign(BODY, TOKEN))
  end)

  it("tells a body whose end was changed", function()
    assert_why("line break at its end that was not sent", sign(TOKEN, BODY .. "\n"))
    assert_why("without the line break", sign(TOKEN, BODY), BODY .. "\n")
    assert_why("empty body", sign(TOKEN, ""))
  end)

  it("tells a body that was serialised again", function()
    local forms = {
      ['{"b": "a/\195\169", "a": [1.50, {}, "\\n"], "c": true}'] = "a space after every comma",
      ['{"b":"a\\/\195\169","a":[1.50,{},"\\n"],"c":true}'] = "slashes escaped",
      ['{"b":"a/\\u00e9","a":[1.50,{},"\\n"],"c":true}'] = "as \\u",
      ['{"a":[1.50,{},"\\n"],"b":"a/\195\169","c":true}'] = "keys sorted",
      ['{"a": [1.50, {}, "\\n"], "b": "a/\\u00e9", "c": true}'] = "as \\u, keys sorted",
      ['{\n  "b": "a/\195\169",\n  "a": [\n    1.50,\n    {},\n    "\\n"\n  ],\n  "c": true\n}'] =
      "indented by 2 spaces",
    }
    for form, name in pairs(forms) do
      assert_why("serialised again", sign(TOKEN, form))
      assert_why(name, sign(TOKEN, form))
      assert_why("without spaces", sign(TOKEN, BODY), (BODY:gsub(",", " ,\t\n")))
    end
  end)

  it("tells nothing in particular of any other", function()
    assert_why("the body was changed", sign(TOKEN, BODY .. "x"))
    assert_why("the body was changed", sign(TOKEN, "{}"), "no JSON")
    assert_why("the body was changed", sign(TOKEN, "{}"), "")
    assert_why("the body was changed", sign(TOKEN, "{}"), "\0\255")
    assert_why("the body was changed", sign(TOKEN, "{}"), ("["):rep(64) .. ("]"):rep(64))
  end)

  it("does not look at other forms of long bodies", function()
    local count = 0
    local long = '{"a": "' .. ("b"):rep(40000) .. '"}'
    local found = judge(("0"):rep(128), long, {
      sign = function()
        count = count + 1
        return ""
      end,
    })
    assert.is_truthy(found.why:find("the body was changed", 1, true))
    assert.is_true(count < 12)
  end)
end)

describe("serialisations", function()
  it("of one value are different texts, and none is the given one", function()
    for _, text in ipairs { BODY, "[]", "1", '"\\ud83d\\ude00"', '{"":{"":[null,-1e5]}}' } do
      local seen = { [text] = true }
      for _, form in ipairs(serialisations.of(text)) do
        assert.is_nil(seen[form.text])
        seen[form.text] = true
      end
    end
  end)

  it("keep what strings and numbers say", function()
    local function has(text, wanted)
      for _, form in ipairs(serialisations.of(text)) do
        if form.text == wanted then
          return true
        end
      end
    end
    assert.is_true(has('"\240\159\152\128"', '"\\ud83d\\ude00"'))
    assert.is_true(has('"\\ud83d\\ude00"', '"\240\159\152\128"'))
    assert.is_true(has('[ "\\"\\\\" , 1e-7 ]', '["\\"\\\\",1e-7]'))
    assert.is_true(has('["\\u0001\\u007f"]', '[\n  "\\u0001\127"\n]'))
  end)
end)
