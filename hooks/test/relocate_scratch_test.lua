local t = require "cr.test"

t.describe("relocate_scratch", function()
  local function environment(variables)
    t.stub("env", function(name) return variables[name] end)
    t.stub("exists", function(path) return path == "/scratch/2" end)
  end

  t.it("notes the directory at the checkpoint", function()
    environment { TMPDIR = "/scratch/1/" }
    local hook = t.load("../relocate_scratch.lua")
    t.expect(hook:fire("pre-checkpoint")):is_nil()
    t.expect(hook.annotations):equals { scratch = "/scratch/1" }
  end)

  t.it("relocates the old directory to the present one", function()
    environment { TMPDIR = "/scratch/2" }
    local hook = t.load("../relocate_scratch.lua")
    local verdict = hook:fire("pre-restart", { annotations = { scratch = "/scratch/1" } })
    t.expect(verdict):equals { relocate = { ["/scratch/1"] = "/scratch/2" } }
  end)

  t.it("has no opinion when nothing moved or nothing is known", function()
    environment { TMPDIR = "/scratch/2" }
    t.expect(t.load("../relocate_scratch.lua"):fire("pre-restart", { annotations = { scratch = "/scratch/2" } })):is_nil()
    t.expect(t.load("../relocate_scratch.lua"):fire("pre-restart")):is_nil()
    environment {}
    t.expect(t.load("../relocate_scratch.lua"):fire("pre-restart", { annotations = { scratch = "/scratch/1" } })):is_nil()
    local hook = t.load("../relocate_scratch.lua")
    hook:fire("pre-checkpoint")
    t.expect(hook.annotations):equals {}
  end)

  t.it("refuses a directory that does not exist", function()
    environment { MY_SCRATCH = "/scratch/3" }
    local hook = t.load("../relocate_scratch.lua", { scratch = "MY_SCRATCH", scratch_from = "/scratch/1" })
    t.expect(hook:fire("pre-restart")):fails("env", "/scratch/3 %(%$MY_SCRATCH%) does not exist")
  end)
end)
