-- process: error: 'sleep' was ended after
local cr = require "cr"
cr.on("process", function(event)
  cr.exec { "sleep", "1000" }
end)
