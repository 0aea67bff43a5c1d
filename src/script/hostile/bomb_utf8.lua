-- process: error: 
local cr = require "cr"
cr.on("process", function(event)
  return utf8.char(table.unpack({}, 1, 200))
end)
