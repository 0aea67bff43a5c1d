-- process: error: cr is read-only: 'fail' cannot be assigned
local cr = require "cr"
cr.on("process", function(event)
  cr.fail = print
end)
