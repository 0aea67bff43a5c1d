-- process: error: not enough memory
local cr = require "cr"
cr.on("process", function(event)
  local loop = setmetatable({}, { __index = function(it, key)
    return it[key .. key]
  end })
  return loop.x
end)
