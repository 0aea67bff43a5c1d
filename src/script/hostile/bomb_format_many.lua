-- process: error: not enough memory
local cr = require "cr"
cr.on("process", function(event)
  local word = ("x"):rep(1 << 20)
  local form = ("%s"):rep(200)
  local words = table.pack()
  for i = 1, 200 do
    words[i] = word
  end
  return form:format(table.unpack(words, 1, 200))
end)
