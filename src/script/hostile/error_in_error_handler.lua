-- process: error: error in error handling
local cr = require "cr"
cr.on("process", function(event)
  local ok, problem = xpcall(error, function()
    error("again")
  end)
  error(problem)
end)
