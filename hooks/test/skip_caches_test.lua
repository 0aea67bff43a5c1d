local t = require "cr.test"

t.describe("skip_caches", function()
  t.it("leaves out areas of a name", function()
    local hook = t.load("../skip_caches.lua", { caches = "tile cache*" })
    t.expect(hook:fire("area-disposition", { name = "[anon:tile cache 3]", bytes = 4096 })):equals("skip")
    t.expect(hook.log[1].text):equals("4 KiB are left out: [anon:tile cache 3]")
    for _, name in ipairs { "[heap]", "", "[anon:state]", "/tmp/tile cache 3" } do
      t.expect(hook:fire("area-disposition", { name = name })):is_nil()
    end
  end)

  t.it("leaves out what stays out of core dumps", function()
    local hook = t.load("../skip_caches.lua", { caches = "nodump" })
    t.expect(hook:fire("area-disposition", { flags = { "rd", "wr", "dd" }, bytes = 8192 })):equals("skip")
    t.expect(hook.log[1].text):equals("8 KiB are left out: memory kept out of core dumps")
    t.expect(hook:fire("area-disposition", { flags = { "rd", "wr" } })):is_nil()
    t.expect(hook:fire("area-disposition", { flags = { "dd" }, file = "/tmp/x" })):is_nil()
  end)

  t.it("wants to know what a cache is", function()
    t.expect(function() t.load("../skip_caches.lua") end):errors("caches=PATTERN or caches=nodump")
  end)
end)
