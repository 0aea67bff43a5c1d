-- process: error: more than 262144 values
local cr = require "cr"
cr.on("process", function(event)
  local nest = { 1 }
  for _ = 1, 60 do
    nest = { nest, nest }
  end
  return nest
end)
