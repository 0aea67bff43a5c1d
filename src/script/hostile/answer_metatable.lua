-- process: error: process cannot be answered with []
local cr = require "cr"
cr.on("process", function(event)
  return setmetatable({}, { __index = error, __len = error, __pairs = error })
end)
