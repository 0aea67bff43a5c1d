-- process: killed: did not answer within its budget
local cr = require "cr"
cr.on("process", function(event)
  coroutine.wrap(function()
    return (("a"):rep(100000)):find((".-"):rep(20) .. "b")
  end)()
end)
