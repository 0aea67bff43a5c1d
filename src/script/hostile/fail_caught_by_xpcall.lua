-- process: answer: fail (env): x
local cr = require "cr"
cr.on("process", function(event)
  xpcall(cr.fail, function() return "z" end, "env", "x")
  return "omit"
end)
