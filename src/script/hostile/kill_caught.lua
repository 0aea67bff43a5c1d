-- process: killed: did not answer within its budget
local cr = require "cr"
cr.on("process", function(event)
  pcall(string.find, ("a"):rep(100000), (".-"):rep(20) .. "b")
  return "omit"
end)
