-- process: error: invalid conversion
local cr = require "cr"
cr.on("process", function(event)
  return ("%99999d"):format(1)
end)
