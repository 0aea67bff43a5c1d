-- process: error: the longest has 4096
local cr = require "cr"
cr.on("process", function() cr.glob(("x"):rep(5000), "x") end)
