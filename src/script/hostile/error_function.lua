-- process: error: an error that is not a text (a function value)
local cr = require "cr"
cr.on("process", function(event)
  error(print)
end)
