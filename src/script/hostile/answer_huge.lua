-- process: error: cannot be answered with
local cr = require "cr"
cr.on("process", function(event)
  return ("x"):rep(1 << 20)
end)
