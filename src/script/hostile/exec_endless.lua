-- on-success: error: 'sleep' was ended after its time limit
local cr = require "cr"
cr.on("on-success", function(event)
  cr.exec { "sleep", "1000", timeout = 0.05 }
end)
