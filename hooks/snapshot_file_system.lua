-- Takes a snapshot of the job's file system while the job stands still, so that memory and files belong to the same moment.
--
-- The job waits for the command, 250 ms at most unless --hook-frozen-timeout allows more; a checkpoint without its snapshot is refused. Where the snapshot
-- is stands in the context file, cr_info shows it.
--
-- Arguments:
--   snapshot_of=DIR         what to take a snapshot of; required
--   snapshot_in=DIR         where snapshots go, each under a name made of host and time; required
--   snapshot_command=WORDS  called with both (default: btrfs subvolume snapshot -r)
--
-- Example:
--   cr_checkpoint --hook snapshot_file_system.lua --hook-frozen-timeout 5 --hook-arg snapshot_of=/data/run7 --hook-arg snapshot_in=/data/snapshots 4711

local cr = require "cr"

local of = cr.args.snapshot_of or error("give --hook-arg snapshot_of=DIR: what to take a snapshot of", 0)
local into = cr.args.snapshot_in or error("give --hook-arg snapshot_in=DIR: where snapshots go", 0)
local command = cr.args.snapshot_command or "btrfs subvolume snapshot -r"

cr.on("frozen", function()
  if cr.dry_run or cr.pure then return end
  local target = ("%s/%s-%.3f"):format(into, cr.hostname(), cr.now())
  local words = {}
  for word in command:gmatch("%S+") do words[#words + 1] = word end
  words[#words + 1] = of
  words[#words + 1] = target
  local done, why = cr.exec(words)
  if not done or done.status ~= 0 then
    cr.fail("env", ("no snapshot of %s: %s: %s"):format(of, words[1], why or done.stderr))
  end
  cr.annotate("snapshot", target)
end)

cr.on("pre-restart", function(image)
  local snapshot = image.annotations.snapshot
  if snapshot and not cr.exists(snapshot) then cr.log.warn(("the snapshot %s of this checkpoint is gone"):format(snapshot)) end
end)
