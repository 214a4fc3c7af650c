--- What agents send, made fit for the page: known fields of the right type, http and https urls, no
-- more than the protocol allows. The page shows all of it as text.
local M = {}

local MAXIMUM = { items = 13, buttons = 4, cards = 10, attachments = 20, url = 2048, text = 80000 }

--- No more bytes than 20,000 characters may have, and no half of a character at the end.
local function text(value)
  if type(value) ~= "string" or value == "" then
    return nil
  end
  local last = math.min(#value, MAXIMUM.text)
  while value:find("^[\128-\191]", last + 1) do
    last = last - 1
  end
  return value:sub(1, last)
end

local function url(value)
  local is_url = type(value) == "string"
    and #value <= MAXIMUM.url
    and value:find "^[Hh][Tt][Tt][Pp][Ss]?://[^%s%c\"'<>\\]+$"
  return is_url and value or nil
end

--- What `clean` makes of each item of a list, or nil when nothing comes of any.
local function list(items, maximum, clean)
  local cleaned = {}
  for index = 1, type(items) == "table" and math.min(#items, maximum) or 0 do
    local item = items[index]
    cleaned[#cleaned + 1] = type(item) == "table" and clean(item) or nil
  end
  return cleaned[1] and cleaned or nil
end

local extensions = {
  image = "bmp gif jpg jpeg png svg webp",
  audio = "aac mp3 ogg m4a",
  video = "avi m4v mkv mov mp4 mpg mpeg4 wmv",
}

local kinds = {}
for kind, names in pairs(extensions) do
  for name in names:gmatch "%S+" do
    kinds[name] = kind
  end
end

--- By its type, or else by the end of its name: image, audio, video or link.
local function kind_of(attachment)
  local named = (text(attachment.type) or ""):match "^%a+"
  local name = text(attachment.filename) or attachment.url:match "^[^?#]*"
  local kind = extensions[named] and named or kinds[(name:match "%.(%w+)$" or ""):lower()]
  return kind or "link"
end

local function attachment(item)
  return url(item.url)
    and { url = item.url, kind = kind_of(item), name = text(item.filename) or item.url }
end

function M.attachments(items)
  return list(items, MAXIMUM.attachments, attachment)
end

local function choice(item)
  return text(item.title) and { title = text(item.title), payload = text(item.payload) }
end

local function button(item)
  if item.type == "url" then
    return text(item.title) and url(item.url) and { title = text(item.title), url = item.url }
  end
  return choice(item)
end

--- What a link is called unless it has a text of its own: its host, without a user's name before.
local function host_of(link)
  local authority = link:match "^%a+://([^/?#]*)"
  local host = authority:match "[^@]*$"
  return host ~= "" and host or link
end

local function card(item)
  local link = url(item.url)
  return text(item.title)
    and {
      title = text(item.title),
      subtitle = text(item.subtitle),
      url = link,
      url_text = link and (text(item.url_text) or host_of(link)),
      image = url(item.attachment_url),
      buttons = list(item.items, MAXIMUM.buttons, button),
    }
end

--- A structured content is cards, or choices to reply with.
---@return table|nil cards
---@return table|nil choices
function M.structured(content)
  if type(content) ~= "table" then
    return nil
  elseif content.type == "select" then
    return nil, list(content.items, MAXIMUM.items, choice)
  elseif content.type == "carousel" then
    return list(content.items, MAXIMUM.cards, card)
  elseif content.type == "template" or content.type == "rich_link" then
    return list({ content }, 1, card)
  end
end

M.text = text

return M
