-- Tells the batch system what happened, as the comment of the job: checkpoint made, checkpoint failed, running again. Made for Slurm.
--
-- The command runs in the background: nobody waits for a slow controller, least of all the job. Outside of a batch job (the variable is not set) it does
-- nothing.
--
-- Arguments:
--   batch_command=PROGRAM   called as PROGRAM update JobId=ID Comment=TEXT (default scontrol)
--   batch_id=VARIABLE       environment variable with the id of the batch job (default SLURM_JOB_ID)
--
-- Example:
--   cr_checkpoint --hook notify_batch_system.lua 4711

local cr = require "cr"

local program = cr.args.batch_command or "scontrol"
local variable = cr.args.batch_id or "SLURM_JOB_ID"

local function tell(comment)
  local id = cr.env(variable)
  if not id or cr.dry_run or cr.pure then return end
  local started, why = cr.exec { program, "update", "JobId=" .. id, "Comment=" .. comment, background = true }
  if not started then cr.log.warn(("the batch system was not told: %s"):format(why)) end
end

cr.on("post-checkpoint", function(saved)
  tell(("checkpoint %s, %d MiB"):format(saved.path or "into a pipe", saved.bytes // 1024 // 1024))
end)

cr.on("checkpoint-failed", function(failure) tell("checkpoint failed: " .. failure.message) end)

cr.on("on-success", function() tell("restarted on " .. cr.hostname()) end)
