-- process: killed: did not answer within its budget
-- A message handler runs inside the hook, where Lua calls no further hook.
local cr = require "cr"
cr.on("process", function(event)
  while true do
    xpcall(error, function()
      while true do end
    end)
  end
end)
