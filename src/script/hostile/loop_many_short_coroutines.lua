-- process: error: for process is spent
-- None of the coroutines runs long enough to meet the hook by itself.
local cr = require "cr"
cr.on("process", function(event)
  local function step()
    local sum = 0
    for i = 1, 150 do
      sum = sum + i
    end
  end
  while true do
    coroutine.wrap(step)()
  end
end)
