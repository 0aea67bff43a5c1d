local t = require "cr.test"

t.describe("wait_for_pid", function()
  local function failure(attempt) return { class = "temp", code = 16, errno = 16, pid = 4711, attempt = attempt } end

  t.it("tries again until the patience ends", function()
    local hook = t.load("../wait_for_pid.lua", { pid_patience = 10, pid_pause = 5 })
    t.expect(hook:fire("fail-temp", failure(1))):equals { retry = true, after = 5 }
    t.expect(hook:fire("fail-temp", failure(2))):equals { retry = true, after = 5 }
    t.expect(hook.log[2].text):equals("process id 4711 is taken, attempt 2")
    t.expect(hook:fire("fail-temp", failure(3))):equals(75)
    t.expect(hook.log[3].text):equals("process id 4711 was still taken after 10 s")
  end)

  t.it("leaves other failures to others", function()
    local hook = t.load("../wait_for_pid.lua", { pid_status = 3 })
    t.expect(hook:fire("fail-temp", { code = 12, pid = 4711, attempt = 1 })):is_nil()
    t.expect(hook:fire("fail-temp", { code = 16, path = "/dev/x", attempt = 1 })):is_nil()
    t.expect(hook:fire("fail-temp", failure(31))):equals(3)
  end)

  t.it("wants numbers", function()
    t.expect(function() t.load("../wait_for_pid.lua", { pid_pause = "long" }) end):errors("pid_pause takes a number, not 'long'")
  end)
end)
