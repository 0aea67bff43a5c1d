-- process: error: an error that is not a text (a table value)
local cr = require "cr"
cr.on("process", function(event)
  error(setmetatable({}, { __tostring = function()
    error("again")
  end }))
end)
