-- on-success: answer: exit 7
local cr = require "cr"
cr.on("on-success", function(event)
  local ended = cr.exec { "sh", "-c", "head -c 3000000 /dev/zero; exit 7" }
  assert(#ended.stdout == 1 << 20)
  return ended.status
end)
