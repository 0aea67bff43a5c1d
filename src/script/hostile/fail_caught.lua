-- process: answer: omit
local cr = require "cr"
cr.on("process", function(event)
  pcall(cr.fail, "env", "x")
  return "omit"
end)
