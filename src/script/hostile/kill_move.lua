-- process: killed: did not answer within its budget
-- So does a move of 2^63 elements.
local cr = require "cr"
cr.on("process", function(event)
  return table.move({}, 1, math.maxinteger - 1, 2)
end)
