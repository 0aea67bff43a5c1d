-- process: error: invalid value (nil) at index 1
local cr = require "cr"
cr.on("process", function(event)
  return table.concat(setmetatable({}, { __len = function()
    return math.maxinteger
  end }))
end)
