--- Errors that point at the line of whoever made the mistake.
local raising = {}

--- Calls a function that has to raise at a line of its own; returns the text behind the position.
---@param call fun()
---@return string
function raising.text(call)
  local fine, message = pcall(call)
  if fine then
    error("nothing was raised", 2)
  elseif type(message) ~= "string" then
    error("what was raised is a " .. type(message), 2)
  end
  local source, line, text = message:match "^([^:]+):(%d+): (.*)$"
  local here = debug.getinfo(call, "S")
  line = tonumber(line)
  if source ~= here.short_src or line < here.linedefined or line > here.lastlinedefined then
    error("raised elsewhere: " .. message, 2)
  end
  return text
end

return raising
