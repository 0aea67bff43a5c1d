-- Keeps the process ids when an old one is in use, by giving the job user, pid and mount namespaces of its own.
--
-- Inside, the job sees its old ids; outside, it has others. Processes of the host cannot be seen from inside.
--
-- Arguments:
--   namespace=always   do so even if all ids are free (default: only if one is taken)
--
-- Example:
--   cr_restart --hook namespace_when_taken.lua context.4711

local cr = require "cr"

local always = cr.args.namespace == "always"
if cr.args.namespace and not always then error("--hook-arg namespace takes only 'always'", 0) end

cr.on("pre-restart", function(image)
  if always or #image.differs.pids > 0 then return { pid = "namespace" } end
end)
