-- Keeps an audit trail: one line of JSON for every checkpoint, restart, failure and end of a job.
--
-- Lines are appended with tee(1), each in one write, so that several programs may share a file. A file that cannot be written is reported and stops
-- nothing.
--
-- Arguments:
--   audit=FILE   the file; required
--
-- Example:
--   cr_restart --hook audit_trail.lua --hook-arg audit=/var/log/checkpoints.jsonl context.4711

local cr = require "cr"

local file = cr.args.audit or error("give --hook-arg audit=FILE: where the trail is kept", 0)

local function note(event, fields)
  if cr.dry_run or cr.pure then return end
  fields.event, fields.time, fields.host, fields.user = event, cr.now(), cr.hostname(), cr.env("USER")
  local done, why = cr.exec { "tee", "-a", "--", file, stdin = cr.json.encode(fields) .. "\n" }
  if not done or done.status ~= 0 then cr.log.warn(("cannot write %s: %s"):format(file, why or done.stderr)) end
end

cr.on("post-checkpoint", function(saved)
  note("checkpoint", { path = saved.path, bytes = saved.bytes, processes = saved.processes, frozen_us = saved.timings.frozen_us })
end)

cr.on("on-success", function(job)
  note("restart", { lead = job.lead, processes = #job.pids, total_us = job.timings.total_us })
end)

for _, event in ipairs { "checkpoint-failed", "fail-args", "fail-temp", "fail-env", "fail-perm" } do
  cr.on(event, function(failure)
    note(event, { class = failure.class, code = failure.code, message = failure.message, attempt = failure.attempt })
  end)
end

cr.on("job-exit", function(ended) note("exit", { status = ended.status, signal = ended.signal }) end)
