-- process: error: object length is not an integer
local cr = require "cr"
cr.on("process", function(event)
  return table.concat(setmetatable({}, { __len = function()
    return "many"
  end }))
end)
