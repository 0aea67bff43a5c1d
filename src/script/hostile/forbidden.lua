-- process: answer: omit
local cr = require "cr"
cr.on("process", function(event)
  for _, name in ipairs { "io", "os", "debug", "package", "load", "loadstring", "dofile", "loadfile", "collectgarbage", "module" } do
    assert(_G[name] == nil, name)
  end
  assert(string.dump == nil)
  assert(getmetatable("") == false and getmetatable(_G) == false and getmetatable(event) == false)
  return "omit"
end)
