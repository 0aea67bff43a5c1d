-- process: answer: omit
-- Globals are the script's own: the sandbox does not look at them.
local cr = require "cr"
_G.type, type, error, pcall, tostring, next, pairs = nil
rawset(_G, "setmetatable", nil)
cr.on("process", function(event)
  return "omit"
end)
