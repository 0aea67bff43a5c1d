-- process: error: cr.STOP is read-only
local cr = require "cr"
cr.on("process", function(event)
  cr.STOP.x = 1
end)
