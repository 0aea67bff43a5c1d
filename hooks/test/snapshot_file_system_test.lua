local t = require "cr.test"

t.describe("snapshot_file_system", function()
  local args = { snapshot_of = "/data/run7", snapshot_in = "/data/snapshots" }

  local function prepare(ended)
    t.stub("now", 12.25)
    t.stub("hostname", "node3")
    return t.stub("exec", ended)
  end

  t.it("takes a snapshot and notes where it is", function()
    local calls = prepare { status = 0, stdout = "", stderr = "" }
    local hook = t.load("../snapshot_file_system.lua", args)
    t.expect(hook:fire("frozen")):is_nil()
    t.expect(calls[1]):equals { "btrfs", "subvolume", "snapshot", "-r", "/data/run7", "/data/snapshots/node3-12.250" }
    t.expect(hook.annotations):equals { snapshot = "/data/snapshots/node3-12.250" }
  end)

  t.it("refuses the checkpoint when it cannot", function()
    prepare { status = 1, stdout = "", stderr = "not a subvolume" }
    local hook = t.load("../snapshot_file_system.lua", { snapshot_of = "/a", snapshot_in = "/b", snapshot_command = "cp -a" })
    t.expect(hook:fire("frozen")):fails("env", "^no snapshot of /a: cp: not a subvolume$")
    t.expect(hook.annotations):equals {}
  end)

  t.it("says at the restart when the snapshot is gone", function()
    t.stub("exists", false)
    local hook = t.load("../snapshot_file_system.lua", args)
    t.expect(hook:fire("pre-restart", { annotations = { snapshot = "/data/snapshots/x" } })):is_nil()
    t.expect(hook.log[1].text):equals("the snapshot /data/snapshots/x of this checkpoint is gone")
  end)

  t.it("does nothing in a dry run, and wants to know where", function()
    local calls = prepare {}
    t.expect(t.load("../snapshot_file_system.lua", args, { dry_run = true }):fire("frozen")):is_nil()
    t.expect(#calls):equals(0)
    t.expect(function() t.load("../snapshot_file_system.lua", { snapshot_of = "/a" }) end):errors("snapshot_in=DIR")
  end)
end)
