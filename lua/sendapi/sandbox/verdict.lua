--- Whether a signature is right, and if not, what is most likely wrong with it.
--
-- Pure: the key's function is given. What is said names no token.
local json = require "sendapi.json"
local serialisations = require "sendapi.sandbox.serialisations"

local verdict = {}

local HEX_LENGTH = 128
local LONGEST_COMPARED = 32768 -- bytes of a body that is looked at in other forms

---@class sendapi.sandbox.Verdict
---@field right boolean
---@field why string|nil a sentence, when it is wrong

---@class sendapi.sandbox.Signed
---@field body string
---@field signature string|nil as it came
---@field source string whose token counts
---@field tokens table<string, string> of all sources, by id
---@field sign fun(token: string, body: string): string lower-case hex HMAC-SHA512

local DIGESTS = { [32] = "MD5", [40] = "SHA-1", [64] = "SHA-256", [96] = "SHA-384" }

local function complaint_of_form(given)
  if given:find "^%s" or given:find "%s$" then
    return "there are spaces around it"
  elseif given:lower():find "^%w+=%x+$" then
    return "there is a prefix before the hex"
  elseif #given == 88 and given:find "^[%w+/]+=*$" then
    return "it looks like base64; it has to be hex"
  elseif given:find "[^%x]" then
    return "it is not hex"
  elseif #given ~= HEX_LENGTH then
    local digest = DIGESTS[#given]
    local looks = digest and (", the length of %s"):format(digest) or ""
    return ("it has %d characters%s; HMAC-SHA512 in hex has 128"):format(#given, looks)
  end
end

local function other_source(signed, is_of)
  local found = {}
  for id, token in pairs(signed.tokens) do
    if id ~= signed.source and is_of(token, signed.body) then
      found[#found + 1] = id
    end
  end
  table.sort(found)
  return found[1] and ('it was made with the token of the source "%s"'):format(found[1])
end

local function from_hex(text)
  if #text % 2 ~= 0 or text == "" or text:find "%X" then
    return nil
  end
  return (text:gsub("%x%x", function(digits)
    return string.char(tonumber(digits, 16))
  end))
end

--- The token as it may have been changed on its way into a program.
local function changed_token(signed, is_of)
  local token, body = signed.tokens[signed.source], signed.body
  local bytes = from_hex(token)
  local candidates = {
    { token .. "\n", "the token was read with the line break behind it" },
    { token .. "\r\n", "the token was read with the line break behind it" },
    { token:upper(), "the token was written in upper case" },
    { token:lower(), "the token was written in lower case" },
    { bytes, "the token was decoded from hex; its characters are the key as they are" },
  }
  for index = 1, 5 do
    local candidate = candidates[index]
    if candidate[1] and candidate[1] ~= token and is_of(candidate[1], body) then
      return candidate[2]
    end
  end
  return is_of(body, token) and "the token and the body are the wrong way round" or nil
end

local function changed_end(signed, is_of)
  local token, body = signed.tokens[signed.source], signed.body
  local stripped = body:match "^(.-)%s+$"
  local candidates = {
    { body .. "\n", "the body was signed with a line break at its end that was not sent" },
    { body .. "\r\n", "the body was signed with a line break at its end that was not sent" },
    { stripped, "the body was signed without the line break at its end" },
    { "", "an empty body was signed" },
  }
  for index = 1, 4 do
    local candidate = candidates[index]
    if candidate[1] and is_of(token, candidate[1]) then
      return candidate[2]
    end
  end
end

local function other_form(signed, is_of)
  local token, body = signed.tokens[signed.source], signed.body
  if #body > LONGEST_COMPARED or not json.decode(body) then
    return nil
  end
  for _, form in ipairs(serialisations.of(body)) do
    if is_of(token, form.text) then
      return "the body was serialised again after it was signed: the signature is that of the same "
        .. ("JSON %s"):format(form.name)
    end
  end
end

local function reason(signed)
  local given = signed.signature
  if given == nil or given == "" then
    return "it is missing"
  end
  local complaint = complaint_of_form(given)
  if complaint then
    return complaint
  end
  given = given:lower()
  local function is_of(token, body)
    return signed.sign(token, body) == given
  end
  return other_source(signed, is_of)
    or changed_token(signed, is_of)
    or changed_end(signed, is_of)
    or other_form(signed, is_of)
    or "the body was changed after it was signed, or another token was used"
end

--- Says what is wrong with a signature that was found to be wrong.
---@param signed sendapi.sandbox.Signed
---@return sendapi.sandbox.Verdict
function verdict.wrong(signed)
  return { right = false, why = reason(signed) }
end

--- Judges a signature.
---@param signed sendapi.sandbox.Signed
---@return sendapi.sandbox.Verdict
function verdict.of(signed)
  local given = signed.signature
  local token = signed.tokens[signed.source]
  if type(given) == "string" and given:lower() == signed.sign(token, signed.body) then
    return { right = true }
  end
  return verdict.wrong(signed)
end

return verdict
