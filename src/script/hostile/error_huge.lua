-- process: error: …
local cr = require "cr"
cr.on("process", function(event)
  error(("x"):rep(1 << 20))
end)
