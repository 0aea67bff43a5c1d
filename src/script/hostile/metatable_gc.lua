-- process: error: __gc is not available
local cr = require "cr"
cr.on("process", function(event)
  setmetatable({}, { __gc = function()
    while true do end
  end })
end)
