-- process: error: an error that is not a text (a table value)
local cr = require "cr"
cr.on("process", function(event)
  error(setmetatable({}, { __name = ("\27[2J"):rep(1000), __tostring = 7 }))
end)
