-- process: error: tables deeper than 64 levels
local cr = require "cr"
cr.on("process", function(event)
  local nest = {}
  for _ = 1, 1000 do
    nest = { nest }
  end
  return nest
end)
