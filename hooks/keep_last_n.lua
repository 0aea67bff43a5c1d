-- Keeps the last N context files of a numbered series, and removes the older ones as soon as a new one is complete.
--
-- A series is what has the same name but for the number at its end: run.1, run.2, run.10. The new file is never removed, whatever its number is.
-- Context directories (-d) work the same. The default name context.PID makes no series: the next one may be another job's.
--
-- Old files are removed in the background, because the job stands still until the answer. What cannot be removed is tried again after the next checkpoint.
--
-- Arguments:
--   keep=N   how many to keep, the new one included (default 3)
--
-- Example:
--   cr_checkpoint --hook keep_last_n.lua --hook-arg keep=5 -f run.$(date +%s) 4711

local cr = require "cr"

local keep = math.tointeger(tonumber(cr.args.keep or 3))
if not keep or keep < 1 then error(("--hook-arg keep takes a number from 1 up, not '%s'"):format(cr.args.keep), 0) end

-- The numbers of the series in a directory, highest first.
local function series(directory, stem)
  local listed, why = cr.exec { "ls", "-1", "--", directory }
  if not listed or listed.status ~= 0 then return nil, why or listed.stderr end
  local numbers = {}
  for name in listed.stdout:gmatch("[^\n]+") do
    local number = name:sub(1, #stem) == stem and name:sub(#stem + 1):match("^%d+$")
    if number then numbers[#numbers + 1] = number end
  end
  table.sort(numbers, function(a, b) return math.tointeger(a) > math.tointeger(b) end)
  return numbers
end

cr.on("post-checkpoint", function(saved)
  if not saved.path or cr.dry_run or cr.pure then return end
  local path = saved.path:find("/", 1, true) and saved.path or "./" .. saved.path
  local directory, stem, current = path:match("^(.*/)([^/]-[^/%d])(%d+)$")
  if not current or stem == "context." then
    cr.log.warn(("%s is not one of a numbered series: nothing is removed"):format(saved.path))
    return
  end
  local numbers, why = series(directory, stem)
  if not numbers then
    cr.log.warn(("cannot list %s: %s"):format(directory, why))
    return
  end
  local command, kept = { "rm", "-rf", "--" }, 1
  for _, number in ipairs(numbers) do
    if number == current then -- counted already
    elseif kept < keep then
      kept = kept + 1
    else
      command[#command + 1] = directory .. stem .. number
    end
  end
  if #command == 3 then return end
  command.background = true
  local started, failed = cr.exec(command)
  if started then
    cr.log.info(("removing %d old context files"):format(#command - 3))
  else
    cr.log.warn(("cannot remove old context files: %s"):format(failed))
  end
end)
