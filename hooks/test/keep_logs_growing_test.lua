local t = require "cr.test"

t.describe("keep_logs_growing", function()
  t.it("lets the job go on at the end of its logs", function()
    local hook = t.load("../keep_logs_growing.lua")
    t.expect(hook:fire("file-disposition", { path = "/home/ada/run.log", writable = true })):equals("append")
    t.expect(hook:fire("file-disposition", { path = "/home/ada/run.log", writable = true, side = "restart" })):equals("append")
  end)

  t.it("leaves other files alone", function()
    local hook = t.load("../keep_logs_growing.lua")
    t.expect(hook:fire("file-disposition", { path = "/home/ada/run.dat", writable = true })):is_nil()
    t.expect(hook:fire("file-disposition", { path = "/home/ada/run.log", writable = false })):is_nil()
  end)

  t.it("takes a pattern", function()
    local hook = t.load("../keep_logs_growing.lua", { logs = "/var/log/{a,b}/*" })
    t.expect(hook:fire("file-disposition", { path = "/var/log/b/x", writable = true })):equals("append")
    t.expect(hook:fire("file-disposition", { path = "/var/log/c/x", writable = true })):is_nil()
    t.expect(function() t.load("../keep_logs_growing.lua", { logs = "/var/[a" }) end):errors("is not a pattern")
  end)
end)
