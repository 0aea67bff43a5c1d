-- process: error: too many captures
local cr = require "cr"
cr.on("process", function(event)
  return ("x"):find(("("):rep(100))
end)
