-- process: error: cr.json.decode: the text is longer than 4 MiB
local cr = require "cr"
cr.on("process", function(event)
  cr.json.decode(("1"):rep(5 << 20))
end)
