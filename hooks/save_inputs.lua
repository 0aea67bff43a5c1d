-- Takes input files along in the context file. At the restart the job gets them back if they have changed or are gone since, and the files themselves if not.
--
-- Inputs are files that the job has open and cannot write. Use it on both sides.
--
-- Arguments:
--   inputs=PATTERN    which files (default: all)
--   inputs_most=MIB   the largest file to take along, in MiB (default 64)
--   inputs_how=WORD   what happens to a changed file: substitute (default) leaves it alone and gives the job a copy without a name; replace
--                     overwrites it
--
-- Example:
--   cr_checkpoint --hook save_inputs.lua --hook-arg 'inputs=/data/**' 4711
--   cr_restart --hook save_inputs.lua context.4711

local cr = require "cr"

local inputs = cr.args.inputs or "/**"
local most = tonumber(cr.args.inputs_most or 64) or error("--hook-arg inputs_most=MIB takes a number", 0)
local how = cr.args.inputs_how or "substitute"
if how ~= "substitute" and how ~= "replace" then error("--hook-arg inputs_how takes substitute or replace, not '" .. how .. "'", 0) end

cr.on("file-disposition", { side = "checkpoint", path = inputs, writable = false, mapped = false }, function(file)
  if file.size <= most * 1024 * 1024 then return how end
end)

cr.on("file-disposition", { side = "restart", path = inputs, writable = false, mapped = false, saved = true }, function(file)
  if not file.changed then return "merge" end
  cr.log.info(("%s has changed since the checkpoint: the job gets what was saved"):format(file.path))
  return how
end)
