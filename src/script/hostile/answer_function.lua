-- process: error: the answer to process cannot be a function
local cr = require "cr"
cr.on("process", function(event)
  return print
end)
