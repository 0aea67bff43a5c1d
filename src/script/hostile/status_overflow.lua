-- on-success: error: on-success cannot be answered with
local cr = require "cr"
cr.on("on-success", function(event)
  return math.maxinteger + 1
end)
