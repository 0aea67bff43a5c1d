-- process: error: C stack overflow
local cr = require "cr"
cr.on("process", function(event)
  local function nest()
    return coroutine.wrap(nest)()
  end
  nest()
end)
