-- process: killed: did not answer within its budget
-- The error of the budget closes the variable inside the hook, where Lua calls no further hook.
local cr = require "cr"
cr.on("process", function(event)
  local guard <close> = setmetatable({}, { __close = function()
    while true do end
  end })
  while true do end
end)
