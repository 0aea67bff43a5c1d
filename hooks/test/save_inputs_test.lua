local t = require "cr.test"

t.describe("save_inputs", function()
  t.it("takes small inputs along", function()
    local hook = t.load("../save_inputs.lua", { inputs = "/data/**", inputs_most = 1 })
    t.expect(hook:fire("file-disposition", { path = "/data/a/in", size = 1 << 20 })):equals("substitute")
    t.expect(hook:fire("file-disposition", { path = "/data/a/in", size = (1 << 20) + 1 })):is_nil()
    t.expect(hook:fire("file-disposition", { path = "/data/out", writable = true })):is_nil()
    t.expect(hook:fire("file-disposition", { path = "/data/lib.so", mapped = true })):is_nil()
    t.expect(hook:fire("file-disposition", { path = "/etc/passwd" })):is_nil()
  end)

  t.it("gives them back only if they have changed", function()
    local hook = t.load("../save_inputs.lua")
    local file = { side = "restart", path = "/data/in", saved = true, decided = "substitute" }
    t.expect(hook:fire("file-disposition", file)):equals("merge")
    file.changed = { size = true }
    t.expect(hook:fire("file-disposition", file)):equals("substitute")
    t.expect(hook.log[1].text):matches("^/data/in has changed")
    file.saved = false
    t.expect(hook:fire("file-disposition", file)):is_nil()
  end)

  t.it("puts them back over the path if asked", function()
    local hook = t.load("../save_inputs.lua", { inputs_how = "replace" })
    local file = { side = "restart", path = "/data/in", saved = true, changed = { missing = true } }
    t.expect(hook:fire("file-disposition", file)):equals("replace")
    t.expect(function() t.load("../save_inputs.lua", { inputs_how = "merge" }) end):errors("substitute or replace, not 'merge'")
  end)
end)
