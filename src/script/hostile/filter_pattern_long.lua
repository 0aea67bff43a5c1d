-- load: error: the longest has 4096
local cr = require "cr"
cr.on("frozen", { scope = ("x"):rep(8192) }, function() end)
