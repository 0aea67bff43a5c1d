-- process: error: a table that contains itself
local cr = require "cr"
cr.on("process", function(event)
  local loop = {}
  loop.loop = loop
  return loop
end)
