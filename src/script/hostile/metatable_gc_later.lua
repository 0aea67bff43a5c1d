-- process: answer: omit
-- A finalizer that is added after setmetatable is never called.
local cr = require "cr"
cr.on("process", function(event)
  for _ = 1, 10000 do
    local metatable = {}
    local garbage = setmetatable({}, metatable)
    metatable.__gc = function()
      while true do end
    end
  end
  return "omit"
end)
