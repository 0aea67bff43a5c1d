-- process: error: for process is spent
local cr = require "cr"
cr.on("process", function(event)
  local function nest(depth)
    while true do
      if depth > 0 then
        pcall(nest, depth - 1)
      end
    end
  end
  nest(100)
end)
