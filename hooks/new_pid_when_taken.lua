-- Takes new process ids when an old one is in use, instead of refusing the restart.
--
-- Programs that remember their ids (in pid files, lock files, logs) may not like it; namespace_when_taken.lua keeps them.
--
-- Arguments: none
--
-- Example:
--   cr_restart --hook new_pid_when_taken.lua context.4711

local cr = require "cr"

cr.on("pre-restart", function(image)
  local taken = image.differs.pids
  if #taken == 0 then return end
  cr.log.warn(("process id %s is taken: the job gets new ids"):format(table.concat(taken, ", ")))
  return { pid = "new" }
end)
