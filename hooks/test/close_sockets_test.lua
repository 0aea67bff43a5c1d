local t = require "cr.test"

t.describe("close_sockets", function()
  t.it("closes what cannot be restored", function()
    local hook = t.load("../close_sockets.lua")
    t.expect(hook:fire("object-disposition", { kind = "socket", pid = 7, peer = "10.1.0.9:80" })):equals("close")
    t.expect(hook.log[1].text):equals("process 7: the connection to 10.1.0.9:80 will be closed at the restart")
    t.expect(hook:fire("object-disposition", { kind = "socket", restorable = true })):is_nil()
    t.expect(hook:fire("object-disposition", { kind = "device" })):is_nil()
  end)

  t.it("names where a socket listens", function()
    local hook = t.load("../close_sockets.lua")
    hook:fire("object-disposition", { kind = "socket", pid = 7, state = "listening", ["local"] = "0.0.0.0:80" })
    t.expect(hook.log[1].text):equals("process 7: the socket that listens at 0.0.0.0:80 will be closed at the restart")
  end)

  t.it("closes only connections to the given addresses", function()
    local hook = t.load("../close_sockets.lua", { peers = "10.1.*:27000" })
    t.expect(hook:fire("object-disposition", { kind = "socket", peer = "10.1.0.9:27000" })):equals("close")
    t.expect(hook:fire("object-disposition", { kind = "socket", peer = "10.2.0.9:27000" })):is_nil()
    t.expect(hook:fire("object-disposition", { kind = "socket" })):is_nil()
  end)
end)
