-- process: error: string slice too long
local cr = require "cr"
cr.on("process", function(event)
  return ("x"):rep(1 << 23):byte(1, -1)
end)
