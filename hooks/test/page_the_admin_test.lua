local t = require "cr.test"

t.describe("page_the_admin", function()
  local failure = { class = "env", message = "cannot open /data/in", stage = "plan", path = "/data/in", remedy = "put it back", attempt = 1 }

  t.it("writes what failed and what to do", function()
    t.stub("hostname", "node3")
    local calls = t.stub("exec", { status = 0, stdout = "", stderr = "" })
    local hook = t.load("../page_the_admin.lua", { mail_to = "ada@example.org" })
    t.expect(hook:fire("fail-env", failure)):is_nil()
    t.expect(calls[1]):equals {
      "mail", "-s", "restart failed on node3 (env)", "ada@example.org",
      stdin = "cannot open /data/in\n\nhost:    node3\nclass:   env\nstage:   plan\nattempt: 1\npath:    /data/in\nto do:   put it back\n",
    }
    t.expect(#hook.log):equals(0)
  end)

  t.it("keeps quiet about what a person need not mend", function()
    local calls = t.stub("exec", {})
    local hook = t.load("../page_the_admin.lua")
    hook:fire("fail-temp", failure)
    hook:fire("fail-args", failure)
    t.load("../page_the_admin.lua", {}, { pure = true }):fire("fail-env", failure)
    t.expect(#calls):equals(0)
  end)

  t.it("says when no mail could be sent", function()
    t.stub("exec", function() return nil, "no such program" end)
    local hook = t.load("../page_the_admin.lua", { mail_command = "/opt/mail" })
    hook:fire("fail-perm", failure)
    t.expect(hook.log[1].text):equals("no mail to root: no such program")
  end)
end)
