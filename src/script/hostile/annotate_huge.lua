-- process: error: is longer than 128 KiB
local cr = require "cr"
cr.on("process", function(event)
  cr.annotate("key", ("x"):rep(1 << 20))
end)
