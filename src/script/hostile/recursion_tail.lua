-- process: error: for process is spent
local cr = require "cr"
cr.on("process", function(event)
  local function nest()
    return nest()
  end
  nest()
end)
