-- process: answer: fail (env): x
local cr = require "cr"
cr.on("process", function(event)
  pcall(cr.fail, "env", "x")
  cr.log.info("runs on")
  local done <close> = setmetatable({}, { __close = function() cr.fail("perm", "y") end })
end)
