-- process: error: the answer to process cannot be a thread
local cr = require "cr"
cr.on("process", function(event)
  return coroutine.create(print)
end)
