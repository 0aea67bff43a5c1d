-- process: error: � is bad
local cr = require "cr"
local name = "\xff"
cr.on("process", function(event)
  error(name .. " is bad", 0)
end)
