-- keep: error: JSON cannot hold a function at 'a.b'
local cr = require "cr"
cr.on("process", function(event)
  cr.state.a = { b = print }
end)
