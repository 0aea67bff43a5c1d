-- process: killed: did not answer within its budget
local cr = require "cr"
cr.on("process", function(event)
  local huge = setmetatable({}, { __len = function()
    return math.maxinteger - 1
  end })
  table.insert(huge, 1, "x")
end)
