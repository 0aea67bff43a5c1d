-- process: error: not enough memory
local cr = require "cr"
cr.on("process", function(event)
  local function nest()
    return 1 + nest()
  end
  nest()
end)
