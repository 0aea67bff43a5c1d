-- process: error: wrong
local cr = require "cr"
cr.on("process", function(event)
  table.insert(setmetatable({}, { __len = function()
    return math.maxinteger
  end }), 1, 2, 3)
end)
