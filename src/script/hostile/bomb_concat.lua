-- process: error: not enough memory
local cr = require "cr"
cr.on("process", function(event)
  local text = "x"
  while true do
    text = text .. text
  end
end)
