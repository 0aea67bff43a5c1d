-- process: answer: omit
local cr = require "cr"
cr.on("process", function(event)
  return cr.glob(("*a"):rep(200), ("a"):rep(4000)) and "omit"
end)
