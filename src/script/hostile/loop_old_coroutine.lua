-- process: error: for process is spent
-- A coroutine made while the script was loaded is watched like the others.
local cr = require "cr"
local old = coroutine.create(function()
  coroutine.yield()
  while true do end
end)
coroutine.resume(old)
cr.on("process", function(event)
  while true do
    coroutine.resume(old)
  end
end)
