-- process: error: all notes together exceed the limit
local cr = require "cr"
cr.on("process", function(event)
  for i = 1, 1e6 do
    cr.annotate("key " .. i, ("x"):rep(1000))
  end
end)
