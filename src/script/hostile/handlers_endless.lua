-- load: error: there are 1000 handlers already
local cr = require "cr"
while true do
  cr.on("process", print)
end
