-- process: error: for process is spent
local cr = require "cr"
cr.on("process", function(event)
  for _ in pairs(setmetatable({}, { __pairs = function()
    return function()
      return 1
    end
  end })) do
  end
end)
