-- process: error: not enough memory: the limit is 32 MiB, see --hook-memory
local cr = require "cr"
cr.on("process", function(event)
  return ("x"):rep(1 << 30)
end)
