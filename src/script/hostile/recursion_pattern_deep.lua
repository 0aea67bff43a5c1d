-- process: error: pattern too complex
local cr = require "cr"
cr.on("process", function(event)
  return ("x"):rep(1000):find((".-"):rep(300) .. "y")
end)
