-- Keeps log files growing: after a restart the job goes on at their end, and nothing that was written since is cut off.
--
-- Without it, a file that the job can write goes back to the length it had at the checkpoint.
--
-- Arguments:
--   logs=PATTERN   which files (default /**/*.log)
--
-- Example:
--   cr_restart --hook keep_logs_growing.lua --hook-arg 'logs=/var/log/myjob/*' context.4711

local cr = require "cr"

local logs = cr.args.logs or "/**/*.log"

cr.on("file-disposition", { path = logs, writable = true }, function() return "append" end)
