local t = require "cr.test"

t.describe("keep_last_n", function()
  -- Runs the script after a checkpoint into `path`, with these names in its directory; the commands it ran.
  local function commands(path, names, args, options)
    local calls = t.stub("exec", function(command)
      return { status = 0, stdout = command[1] == "ls" and table.concat(names, "\n") .. "\n" or "", stderr = "" }
    end)
    local hook = t.load("../keep_last_n.lua", args, options)
    t.expect(hook:fire("post-checkpoint", { path = path })):is_nil()
    return calls, hook
  end

  t.it("removes what is older than the last three", function()
    local calls, hook = commands("/ckpt/run.12", { "run.12", "run.9", "run.10", "run.11", "run.8", "other.1", "run.x", "run.7.log" })
    t.expect(calls[1]):equals { "ls", "-1", "--", "/ckpt/" }
    t.expect(calls[2]):equals { "rm", "-rf", "--", "/ckpt/run.9", "/ckpt/run.8", background = true }
    t.expect(hook.log[1].text):equals("removing 2 old context files")
  end)

  t.it("never removes the new one, even if its number is the lowest", function()
    local calls = commands("run.1", { "run.1", "run.98", "run.99" }, { keep = 2 })
    t.expect(calls[1]):equals { "ls", "-1", "--", "./" }
    t.expect(calls[2]):equals { "rm", "-rf", "--", "./run.98", background = true }
    t.expect(#calls):equals(2)
  end)

  t.it("removes nothing while there are few", function()
    local calls = commands("/ckpt/run.2", { "run.1", "run.2" })
    t.expect(#calls):equals(1)
  end)

  t.it("leaves alone what is no series", function()
    for _, path in ipairs { "/ckpt/context.4711", "/ckpt/latest", "/ckpt/12", "/ckpt.d/run" } do
      local calls, hook = commands(path, { "context.1", "1", "2", "3", "4" })
      t.expect(#calls):equals(0)
      t.expect(hook.log[1].text):matches("is not one of a numbered series")
    end
    t.expect(#commands(nil, {})):equals(0)
    t.expect(#commands("/ckpt/run.9", {}, {}, { dry_run = true })):equals(0)
  end)

  t.it("says when the directory cannot be listed", function()
    t.stub("exec", { status = 2, stdout = "", stderr = "permission denied" })
    local hook = t.load("../keep_last_n.lua")
    hook:fire("post-checkpoint", { path = "/ckpt/run.9" })
    t.expect(hook.log[1].text):equals("cannot list /ckpt/: permission denied")
  end)

  t.it("wants a number from 1 up", function()
    for _, keep in ipairs { "0", "some", "1.5" } do
      t.expect(function() t.load("../keep_last_n.lua", { keep = keep }) end):errors("takes a number from 1 up, not '" .. keep .. "'")
    end
  end)
end)
