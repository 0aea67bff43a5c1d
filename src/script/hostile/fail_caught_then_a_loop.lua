-- process: answer: fail (env): x
local cr = require "cr"
cr.on("process", function(event)
  pcall(cr.fail, "env", "x")
  while true do end
end)
