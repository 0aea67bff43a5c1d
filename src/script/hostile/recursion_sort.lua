-- process: error: C stack overflow
local cr = require "cr"
cr.on("process", function(event)
  local function nest()
    table.sort({ 2, 1 }, nest)
    return false
  end
  nest()
end)
