-- process: error: for process is spent
local cr = require "cr"
cr.on("process", function(event)
  while true do
    pcall(coroutine.wrap(function()
      while true do end
    end))
  end
end)
