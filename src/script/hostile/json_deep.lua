-- process: error: recursion limit exceeded
local cr = require "cr"
cr.on("process", function(event)
  cr.json.decode(("["):rep(100000))
end)
