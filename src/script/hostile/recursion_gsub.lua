-- process: error: C stack overflow
local cr = require "cr"
cr.on("process", function(event)
  local function nest()
    return (("x"):gsub("x", nest))
  end
  nest()
end)
