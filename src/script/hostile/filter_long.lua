-- load: error: the filter cannot have more than 4 MiB of text
local cr = require "cr"
cr.on("frozen", { scope = ("x"):rep(8 << 20) }, function() end)
