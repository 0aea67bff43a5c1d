-- process: error: a read-only table cannot be changed
local cr = require "cr"
cr.on("process", function(event)
  rawset(event, "pid", 1)
end)
