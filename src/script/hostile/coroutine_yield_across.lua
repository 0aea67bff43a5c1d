-- process: error: attempt to yield from outside a coroutine
local cr = require "cr"
cr.on("process", function(event)
  coroutine.yield(1)
end)
