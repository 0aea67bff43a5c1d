-- Waits for a process id: while an id of the job is taken by another process, the restart is tried again.
--
-- Arguments:
--   pid_patience=SECONDS   how long to go on trying (default 60)
--   pid_pause=SECONDS      the time between two attempts (default 2)
--   pid_status=STATUS      exit status when the patience ends (default 75: EX_TEMPFAIL, which batch systems take as "try again later")
--
-- Example:
--   cr_restart --hook wait_for_pid.lua --hook-arg pid_patience=300 context.4711

local cr = require "cr"

local function number(key, default)
  return tonumber(cr.args[key] or default) or error(("--hook-arg %s takes a number, not '%s'"):format(key, cr.args[key]), 0)
end

local patience, pause, status = number("pid_patience", 60), number("pid_pause", 2), number("pid_status", 75)
local EBUSY = 16

cr.on("fail-temp", { code = EBUSY, pid = true }, function(failure)
  local waited = (failure.attempt - 1) * pause
  if waited + pause <= patience then
    cr.log.info(("process id %d is taken, attempt %d"):format(failure.pid, failure.attempt))
    return { retry = true, after = pause }
  end
  cr.log.error(("process id %d was still taken after %g s"):format(failure.pid, waited))
  return math.tointeger(status)
end)
