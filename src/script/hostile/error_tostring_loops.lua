-- process: error: for process is spent
local cr = require "cr"
cr.on("process", function(event)
  error(setmetatable({}, { __tostring = function()
    while true do end
  end }))
end)
