-- process: error: fine\nstack traceback:\nfake
local cr = require "cr"
cr.on("process", function(event)
  error("fine\nstack traceback:\nfake", 0)
end)
