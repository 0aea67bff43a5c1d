local t = require "cr.test"

t.describe("refuse_changed_inputs", function()
  t.it("refuses and says what is different", function()
    local hook = t.load("../refuse_changed_inputs.lua")
    local file = { side = "restart", path = "/data/in", changed = { size = true, mtime = true } }
    t.expect(hook:fire("file-disposition", file)):fails("env", "^/data/in is not what it was at the checkpoint %(size, mtime%)$")
  end)

  t.it("lets everything else pass", function()
    local hook = t.load("../refuse_changed_inputs.lua", { strict = "/data/**" })
    local changed = { content = true }
    t.expect(hook:fire("file-disposition", { side = "restart", path = "/data/in" })):is_nil()
    t.expect(hook:fire("file-disposition", { side = "restart", path = "/tmp/in", changed = changed })):is_nil()
    t.expect(hook:fire("file-disposition", { side = "restart", path = "/data/out", writable = true, changed = changed })):is_nil()
    t.expect(hook:fire("file-disposition", { side = "checkpoint", path = "/data/in" })):is_nil()
  end)
end)
