-- process: error: '__index' chain too long
local cr = require "cr"
cr.on("process", function(event)
  local a, b = {}, {}
  setmetatable(a, { __index = b })
  setmetatable(b, { __index = a })
  return a.x
end)
