-- process: killed: did not answer within its budget
-- A pattern that takes for ever runs in C, where no hook is called: the process is killed.
local cr = require "cr"
cr.on("process", function(event)
  return (("a"):rep(100000)):find((".-"):rep(20) .. "b")
end)
