-- process: error: an error that is not a text (a table value): table: 0x
local cr = require "cr"
cr.on("process", function(event)
  error({ code = 1 })
end)
