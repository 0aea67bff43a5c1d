-- process: error: too many results to unpack
local cr = require "cr"
cr.on("process", function(event)
  return table.unpack({}, 1, 1e8)
end)
