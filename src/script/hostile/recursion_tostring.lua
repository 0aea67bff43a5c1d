-- process: error: C stack overflow
local cr = require "cr"
cr.on("process", function(event)
  local loop = setmetatable({}, {})
  getmetatable(loop).__tostring = function(it)
    return tostring(it)
  end
  return tostring(loop)
end)
