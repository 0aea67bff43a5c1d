local t = require "cr.test"

t.describe("roll_back_outputs", function()
  local args = { outputs = "/scratch/run7/**", outputs_most = 10 }

  t.it("saves the contents of outputs", function()
    local hook = t.load("../roll_back_outputs.lua", args)
    t.expect(hook:fire("file-disposition", { path = "/scratch/run7/a/out.dat", writable = true, size = 10 << 20 })):equals("replace")
  end)

  t.it("leaves inputs, other files and the restart alone", function()
    local hook = t.load("../roll_back_outputs.lua", args)
    t.expect(hook:fire("file-disposition", { path = "/scratch/run7/in.dat" })):is_nil()
    t.expect(hook:fire("file-disposition", { path = "/scratch/run8/out.dat", writable = true })):is_nil()
    t.expect(hook:fire("file-disposition", { path = "/scratch/run7/out.dat", writable = true, side = "restart" })):is_nil()
    t.expect(#hook.log):equals(0)
  end)

  t.it("says which files are too large", function()
    local hook = t.load("../roll_back_outputs.lua", args)
    t.expect(hook:fire("file-disposition", { path = "/scratch/run7/big", writable = true, size = 11 << 20 })):is_nil()
    t.expect(hook.log[1].level):equals("warn")
    t.expect(hook.log[1].text):matches("/scratch/run7/big has 11 MiB")
  end)

  t.it("wants to know which files", function()
    t.expect(function() t.load("../roll_back_outputs.lua") end):errors("give %-%-hook%-arg outputs=PATTERN")
    t.expect(function() t.load("../roll_back_outputs.lua", { outputs = "/x", outputs_most = "many" }) end):errors("takes a number")
  end)
end)
