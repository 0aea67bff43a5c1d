-- process: error: cannot change a protected metatable
local cr = require "cr"
cr.on("process", function(event)
  setmetatable(event, {})
end)
