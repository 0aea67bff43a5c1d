-- process: error: process is read-only: 'pid' cannot be assigned
local cr = require "cr"
cr.on("process", function(event)
  event.pid = 1
end)
