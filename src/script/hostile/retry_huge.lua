-- fail-temp: error: fail-temp cannot be answered with
local cr = require "cr"
cr.on("fail-temp", function(event)
  return { retry = true, after = math.huge - 1 > 0 and 1e308 }
end)
