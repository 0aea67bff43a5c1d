-- process: error: 
local cr = require "cr"
cr.on("process", function(event)
  return string.pack("!16 i16 c0", 1, ("x"):rep(1 << 30))
end)
