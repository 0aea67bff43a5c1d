-- process: error: an error that is not a text (a table value): why it failed
local cr = require "cr"
cr.on("process", function(event)
  error(setmetatable({}, { __tostring = function()
    return "why it failed"
  end }))
end)
