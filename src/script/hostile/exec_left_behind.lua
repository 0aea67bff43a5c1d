-- on-success: answer: exit 0
-- A program that leaves others behind with its outputs open is not waited for any longer.
local cr = require "cr"
cr.on("on-success", function(event)
  return cr.exec({ "sh", "-c", "sleep 1000 & exit 0" }).status
end)
