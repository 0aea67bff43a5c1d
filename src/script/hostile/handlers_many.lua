-- process: answer: omit
local cr = require "cr"
for _ = 1, 999 do
  cr.on("process", { pid = 1 }, function() end)
end
cr.on("process", function(event)
  return "omit"
end)
