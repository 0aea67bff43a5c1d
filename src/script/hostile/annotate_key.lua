-- process: error: a key has 1 to 128 bytes and no control characters
local cr = require "cr"
cr.on("process", function(event)
  cr.annotate("a\27b", "x")
end)
