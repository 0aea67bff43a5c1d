-- Rolls output files back with the job: their contents travel in the context file and are put back over the path at the restart, in one step.
--
-- Without it, a file is only cut back to its old length; what the job overwrote inside that length stays changed. Use it at the checkpoint; the
-- decision is kept in the context file. The files must fit into it.
--
-- Arguments:
--   outputs=PATTERN    which files; required, for example /scratch/run7/**
--   outputs_most=MIB   the largest file to take along, in MiB (default 1024); a larger one is left as it is, with a warning
--
-- Example:
--   cr_checkpoint --hook roll_back_outputs.lua --hook-arg 'outputs=/scratch/run7/**' 4711

local cr = require "cr"

local outputs = cr.args.outputs or error("give --hook-arg outputs=PATTERN: which files roll back", 0)
local most = tonumber(cr.args.outputs_most or 1024) or error("--hook-arg outputs_most=MIB takes a number", 0)

cr.on("file-disposition", { side = "checkpoint", path = outputs, writable = true }, function(file)
  if file.size > most * 1024 * 1024 then
    cr.log.warn(("%s has %d MiB: it will not roll back"):format(file.path, file.size // 1024 // 1024))
    return
  end
  return "replace"
end)
