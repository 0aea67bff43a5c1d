-- load: error: a filter may have 200 values
local cr = require "cr"
local list = {}
for i = 1, 1000 do list[i] = "x" .. i end
cr.on("frozen", { scope = list }, function() end)
