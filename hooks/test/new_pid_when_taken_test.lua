local t = require "cr.test"

t.describe("new_pid_when_taken", function()
  t.it("takes new ids when one is in use", function()
    local hook = t.load("../new_pid_when_taken.lua")
    t.expect(hook:fire("pre-restart", { differs = { pids = { 7, 8 } } })):equals { pid = "new" }
    t.expect(hook.log[1].text):equals("process id 7, 8 is taken: the job gets new ids")
  end)

  t.it("has no opinion when all are free", function()
    t.expect(t.load("../new_pid_when_taken.lua"):fire("pre-restart")):is_nil()
  end)
end)
