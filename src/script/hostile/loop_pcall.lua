-- process: error: for process is spent
-- Each error of the budget is caught; the next instruction raises it again.
local cr = require "cr"
cr.on("process", function(event)
  while true do
    pcall(function()
      while true do end
    end)
  end
end)
