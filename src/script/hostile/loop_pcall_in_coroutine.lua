-- process: error: for process is spent
local cr = require "cr"
cr.on("process", function(event)
  coroutine.wrap(function()
    while true do
      pcall(function()
        while true do end
      end)
    end
  end)()
end)
