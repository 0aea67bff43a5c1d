-- process: error: the limit is 65536
local cr = require "cr"
cr.on("process", function(event)
  cr.annotate("key", ("x"):rep(1 << 20))
end)
