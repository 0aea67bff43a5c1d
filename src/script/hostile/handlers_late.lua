-- process: error: cr.on works only while the script is loaded
local cr = require "cr"
cr.on("process", function(event)
  cr.on("process", function() end)
end)
