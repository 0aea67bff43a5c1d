-- process: answer: omit; log: logged more than 64 KiB: the rest is left out
local cr = require "cr"
cr.on("process", function(event)
  for _ = 1, 10000 do
    cr.log.warn(("x"):rep(1000))
  end
  return "omit"
end)
