-- process: answer: fail (env): x
local cr = require "cr"
cr.on("process", function(event)
  pcall(cr.fail, "env", "x")
  pcall(cr.fail, "perm", "y")
  return "omit"
end)
