-- process: answer: omit; log: \u{1b}[2J\u{7}\n�
local cr = require "cr"
cr.on("process", function(event)
  cr.log.warn("\27[2J\a\n\xff")
  return "omit"
end)
