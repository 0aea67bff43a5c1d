local t = require "cr.test"

t.describe("retry_with_backoff", function()
  t.it("waits twice as long each time, up to the longest pause", function()
    local hook = t.load("../retry_with_backoff.lua", { retries = 4, retry_pause = 2, retry_longest = 10 })
    for attempt, after in ipairs { 2, 4, 8, 10 } do
      t.expect(hook:fire("fail-temp", { attempt = attempt })):equals { retry = true, after = after }
    end
    t.expect(hook:fire("fail-temp", { attempt = 5 })):is_nil()
  end)

  t.it("tries again after failures of the machine only if asked", function()
    t.expect(t.load("../retry_with_backoff.lua"):fire("fail-env", { attempt = 1 })):is_nil()
    local hook = t.load("../retry_with_backoff.lua", { retry_env = "yes" })
    t.expect(hook:fire("fail-env", { attempt = 1, message = "no file" })):equals { retry = true, after = 1 }
    t.expect(hook.log[1].text):equals("attempt 1 failed, the next is in 1 s: no file")
  end)

  t.it("wants numbers", function()
    t.expect(function() t.load("../retry_with_backoff.lua", { retries = "x" }) end):errors("retries takes a number, not 'x'")
  end)
end)
