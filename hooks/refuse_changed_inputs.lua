-- Refuses a restart when an input file has changed since the checkpoint: better no result than one from two versions of the data.
--
-- Inputs are files that the job has open and cannot write. Without it a change of such a file is only a warning.
--
-- Arguments:
--   strict=PATTERN   which files (default: all)
--
-- Example:
--   cr_restart --hook refuse_changed_inputs.lua --hook-arg 'strict=/data/**' context.4711

local cr = require "cr"

local inputs = { side = "restart", path = cr.args.strict, writable = false, changed = true }

cr.on("file-disposition", inputs, function(file)
  local what = {}
  for _, word in ipairs { "missing", "size", "mtime", "content" } do
    if file.changed[word] then what[#what + 1] = word end
  end
  cr.fail("env", ("%s is not what it was at the checkpoint (%s)"):format(file.path, table.concat(what, ", ")))
end)
