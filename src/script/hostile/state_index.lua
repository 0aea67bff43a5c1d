-- keep: answer: nothing
local cr = require "cr"
cr.on("process", function(event)
  setmetatable(cr.state, { __index = error, __pairs = error, __len = error })
end)
