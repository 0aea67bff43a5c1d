-- process: error: cannot close a running coroutine
local cr = require "cr"
cr.on("process", function(event)
  coroutine.close(coroutine.running())
end)
