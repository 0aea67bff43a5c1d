-- process: answer: fail (env): x
local cr = require "cr"
cr.on("process", function(event)
  coroutine.resume(coroutine.create(cr.fail), "env", "x")
  error("another")
end)
