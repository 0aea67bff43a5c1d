-- process: answer: omit
local cr = require "cr"
cr.on("process", function(event)
  local text, why = cr.read_file("/dev/zero")
  assert(text == nil and why:find("not a regular file"), why)
  return "omit"
end)
