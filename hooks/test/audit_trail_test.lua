local t = require "cr.test"

t.describe("audit_trail", function()
  local function started(options)
    t.stub("now", 1000.5)
    t.stub("hostname", "node3")
    t.stub("env", "ada")
    local calls = t.stub("exec", { status = 0, stdout = "", stderr = "" })
    return t.load("../audit_trail.lua", { audit = "/var/log/cr.jsonl" }, options), calls
  end

  t.it("appends one line of JSON for each event", function()
    local hook, calls = started()
    t.expect(hook:fire("post-checkpoint", { path = "context.7", bytes = 99, processes = 2, timings = { frozen_us = 5 } })):is_nil()
    t.expect(hook:fire("on-success", { lead = 7, pids = { { old = 7, new = 7 } } })):is_nil()
    t.expect(hook:fire("fail-temp", { class = "temp", code = 16, message = "taken", attempt = 2 })):is_nil()
    t.expect(hook:fire("job-exit", { signal = 9 })):is_nil()
    t.expect({ calls[1][1], calls[1][2], calls[1][3], calls[1][4] }):equals { "tee", "-a", "--", "/var/log/cr.jsonl" }
    local lines = {}
    for index, call in ipairs(calls) do
      t.expect(call.stdin):matches("^{[^\n]*}\n$")
      lines[index] = t.json.decode(call.stdin)
    end
    t.expect(lines[1]):equals {
      event = "checkpoint", time = 1000.5, host = "node3", user = "ada", path = "context.7", bytes = 99, processes = 2, frozen_us = 5,
    }
    t.expect(lines[2]):equals { event = "restart", time = 1000.5, host = "node3", user = "ada", lead = 7, processes = 1, total_us = 0 }
    t.expect(lines[3].event):equals("fail-temp")
    t.expect(lines[3].attempt):equals(2)
    t.expect(lines[4]):equals { event = "exit", time = 1000.5, host = "node3", user = "ada", signal = 9 }
  end)

  t.it("reports a file that cannot be written", function()
    local hook = started()
    t.stub("exec", { status = 1, stdout = "", stderr = "tee: no" })
    t.expect(hook:fire("job-exit", { status = 0 })):is_nil()
    t.expect(hook.log[1].text):equals("cannot write /var/log/cr.jsonl: tee: no")
  end)

  t.it("writes nothing in a dry run, and wants a file", function()
    local hook, calls = started { dry_run = true }
    hook:fire("job-exit", { status = 0 })
    t.expect(#calls):equals(0)
    t.expect(function() t.load("../audit_trail.lua") end):errors("give %-%-hook%-arg audit=FILE")
  end)
end)
