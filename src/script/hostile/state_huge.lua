-- keep: error: the limit is 1024 KiB
local cr = require "cr"
cr.on("process", function(event)
  for i = 1, 2000 do
    cr.state["key " .. i] = ("x"):rep(1000)
  end
end)
