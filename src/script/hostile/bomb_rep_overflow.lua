-- process: error: resulting string too large
local cr = require "cr"
cr.on("process", function(event)
  return ("xx"):rep(math.maxinteger)
end)
