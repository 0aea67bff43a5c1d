-- process: error: an error that is not a text (a nil value)
local cr = require "cr"
cr.on("process", function(event)
  error()
end)
