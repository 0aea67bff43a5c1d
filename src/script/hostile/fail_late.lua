-- on-success: error: nothing can be stopped in on-success any more
local cr = require "cr"
cr.on("on-success", function(event)
  cr.fail("perm", "too late")
end)
