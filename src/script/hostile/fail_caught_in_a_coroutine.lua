-- process: answer: fail (env): x
local cr = require "cr"
cr.on("process", function(event)
  coroutine.wrap(function() pcall(cr.fail, "env", "x") end)()
  return "omit"
end)
