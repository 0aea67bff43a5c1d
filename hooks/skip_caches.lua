-- Leaves caches out of the context file: memory that the program can make again. After the restart it reads as zeros.
--
-- Only for programs that notice: those which mark caches with madvise(MADV_DONTDUMP), or name them with prctl(PR_SET_VMA_ANON_NAME), and look whether
-- they are filled before they use them.
--
-- Arguments:
--   caches=PATTERN   names of anonymous areas, for example 'tile cache*'
--   caches=nodump    areas kept out of core dumps
--   One of the two is required.
--
-- Example:
--   cr_checkpoint --hook skip_caches.lua --hook-arg 'caches=tile cache*' 4711

local cr = require "cr"

local caches = cr.args.caches or error("give --hook-arg caches=PATTERN or caches=nodump: what is a cache", 0)

local filter = { file = false } -- nothing that maps a file
if caches == "nodump" then
  filter.flags = "dd"
else
  filter.name = "[[]anon:" .. caches .. "]"
end

cr.on("area-disposition", filter, function(area)
  cr.log.info(("%d KiB are left out: %s"):format(area.bytes // 1024, area.name ~= "" and area.name or "memory kept out of core dumps"))
  return "skip"
end)
