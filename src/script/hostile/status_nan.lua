-- on-success: error: the answer to on-success cannot be the number
local cr = require "cr"
cr.on("on-success", function(event)
  return 0 / 0
end)
