-- process: error: string is read-only
local cr = require "cr"
cr.on("process", function(event)
  string.rep = print
end)
