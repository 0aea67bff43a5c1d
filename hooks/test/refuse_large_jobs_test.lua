local t = require "cr.test"

t.describe("refuse_large_jobs", function()
  local GIB = 1 << 30

  t.it("adds up the processes and refuses what is too much", function()
    local hook = t.load("../refuse_large_jobs.lua", { largest = 2.5 })
    hook:fire("frozen")
    t.expect(hook:fire("process", { bytes = GIB })):is_nil()
    t.expect(hook:fire("process", { bytes = GIB })):is_nil()
    t.expect(hook:fire("process", { bytes = GIB })):fails("perm", "more than 2.5 GiB of memory")
  end)

  t.it("begins anew when the job is frozen again", function()
    local hook = t.load("../refuse_large_jobs.lua", { largest = 1 })
    for _ = 1, 3 do
      hook:fire("frozen")
      t.expect(hook:fire("process", { bytes = GIB })):is_nil()
    end
  end)

  t.it("wants a limit", function()
    t.expect(function() t.load("../refuse_large_jobs.lua") end):errors("give %-%-hook%-arg largest=GIB")
  end)
end)
