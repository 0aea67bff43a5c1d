local t = require "cr.test"

t.describe("namespace_when_taken", function()
  t.it("makes namespaces when an id is in use", function()
    local hook = t.load("../namespace_when_taken.lua")
    t.expect(hook:fire("pre-restart", { differs = { pids = { 7 } } })):equals { pid = "namespace" }
    t.expect(hook:fire("pre-restart")):is_nil()
  end)

  t.it("makes them always if asked", function()
    t.expect(t.load("../namespace_when_taken.lua", { namespace = "always" }):fire("pre-restart")):equals { pid = "namespace" }
    t.expect(function() t.load("../namespace_when_taken.lua", { namespace = "never" }) end):errors("takes only 'always'")
  end)
end)
