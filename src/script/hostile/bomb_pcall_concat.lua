-- process: error: is spent
-- Out of memory is caught again and again, until the instructions are spent.
local cr = require "cr"
cr.on("process", function(event)
  local text = "x"
  while true do
    pcall(function()
      text = text .. text
    end)
  end
end)
