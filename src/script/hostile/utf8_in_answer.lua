-- process: error: a text that is not valid UTF-8
local cr = require "cr"
cr.on("process", function(event)
  return "\xff"
end)
