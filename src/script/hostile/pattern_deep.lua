-- process: error: more than 8 braces stand inside each other
local cr = require "cr"
cr.on("process", function() cr.glob(("{a,"):rep(160) .. ("}"):rep(160), "x") end)
