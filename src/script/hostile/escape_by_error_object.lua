-- process: answer: fail (env): x
local cr = require "cr"
cr.on("process", function(event)
  local ok, problem = pcall(cr.stat)
  assert(not ok and type(problem) == "string", problem)
  local ok, problem = pcall(cr.fail, "env", "x")
  assert(not ok and getmetatable(problem) == false and tostring(problem) == "x")
  return "omit"
end)
