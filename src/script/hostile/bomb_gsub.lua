-- process: error: not enough memory
local cr = require "cr"
cr.on("process", function(event)
  local text = ("x"):rep(1 << 20)
  return (text:gsub("x", ("y"):rep(1 << 10)))
end)
