-- Follows the scratch directory: batch systems give every job another one, so the files of a restarted job are looked for in the new one.
--
-- At the checkpoint the directory is noted in the context file; at the restart paths below it are relocated to the present one. The files must have been
-- copied there. Use it on both sides.
--
-- Arguments:
--   scratch=VARIABLE     environment variable that names the directory (default TMPDIR)
--   scratch_from=DIR     at the restart: the old directory, if the checkpoint was made without this script
--
-- Example:
--   cr_checkpoint --hook relocate_scratch.lua 4711
--   cp -a "$OLD_TMPDIR"/. "$TMPDIR" && cr_restart --hook relocate_scratch.lua context.4711

local cr = require "cr"

local variable = cr.args.scratch or "TMPDIR"

-- Without the slashes at the end; nil for what cannot be relocated.
local function directory(path)
  path = path and path:gsub("/+$", "")
  return path ~= "" and path or nil
end

cr.on("pre-checkpoint", function()
  local here = directory(cr.env(variable))
  if here then cr.annotate("scratch", here) end
end)

cr.on("pre-restart", function(image)
  local old = directory(cr.args.scratch_from or image.annotations.scratch)
  local new = directory(cr.env(variable))
  if not old or not new or old == new then return end
  if not cr.exists(new) then cr.fail("env", ("the scratch directory %s ($%s) does not exist"):format(new, variable)) end
  cr.log.info(("scratch directory: %s is now %s"):format(old, new))
  return { relocate = { [old] = new } }
end)
