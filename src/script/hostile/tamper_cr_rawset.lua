-- process: error: a read-only table cannot be changed with rawset
local cr = require "cr"
cr.on("process", function(event)
  rawset(cr, "fail", print)
end)
