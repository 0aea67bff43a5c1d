-- process: error: attempt to index a boolean value
local cr = require "cr"
cr.on("process", function(event)
  getmetatable("").__index = nil
end)
