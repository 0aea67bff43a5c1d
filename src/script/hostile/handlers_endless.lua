-- load: error: is spent
local cr = require "cr"
while true do
  cr.on("process", print)
end
