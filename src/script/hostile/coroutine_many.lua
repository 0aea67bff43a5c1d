-- process: error: not enough memory
local cr = require "cr"
cr.on("process", function(event)
  local all = {}
  while true do
    all[#all + 1] = coroutine.create(function() end)
  end
end)
