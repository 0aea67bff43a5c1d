-- pre-checkpoint: error: pre-checkpoint.ids is read-only
local cr = require "cr"
cr.on("pre-checkpoint", function(event)
  table.sort(event.ids, function(a, b)
    return a > b
  end)
end)
