-- Refuses checkpoints of jobs that are too large for the place where context files go.
--
-- What counts is the memory that is resident or swapped out, of all processes together. Memory that processes share is counted once for each, so that
-- the limit errs on the safe side.
--
-- Arguments:
--   largest=GIB   the most memory of a job, in GiB; required
--
-- Example:
--   cr_checkpoint --hook refuse_large_jobs.lua --hook-arg largest=64 4711

local cr = require "cr"

local GIB = 1024 * 1024 * 1024
local largest = tonumber(cr.args.largest) or error("give --hook-arg largest=GIB: the most memory of a job", 0)

local total = 0

-- Freezing may be tried more than once; each time counting begins anew.
cr.on("frozen", function() total = 0 end)

cr.on("process", function(process)
  total = total + process.bytes
  if total > largest * GIB then
    cr.fail("perm", ("the job has more than %g GiB of memory, the most that may be saved here"):format(largest))
  end
end)
