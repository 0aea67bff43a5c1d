-- keep: error: a table that contains itself
local cr = require "cr"
cr.on("process", function(event)
  cr.state.a = cr.state
end)
