-- process: error: for process is spent
local cr = require "cr"
cr.on("process", function(event)
  while true do
    local co = coroutine.create(function()
      local guard <close> = setmetatable({}, { __close = function()
        while true do end
      end })
      coroutine.yield()
    end)
    coroutine.resume(co)
    pcall(coroutine.close, co)
  end
end)
