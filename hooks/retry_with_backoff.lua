-- Tries a restart again that failed for a reason which may go away: soon at first, then less and less often.
--
-- Arguments:
--   retries=N              how many more attempts (default 6)
--   retry_pause=SECONDS    the time before the first of them; it doubles each time (default 1)
--   retry_longest=SECONDS  the longest pause (default 60)
--   retry_env=yes          try again when the machine must be put right, too, for example a file system that is not mounted yet
--
-- Example:
--   cr_restart --hook retry_with_backoff.lua --hook-arg retries=10 --hook-arg retry_env=yes context.4711

local cr = require "cr"

local function number(key, default)
  return tonumber(cr.args[key] or default) or error(("--hook-arg %s takes a number, not '%s'"):format(key, cr.args[key]), 0)
end

local retries, pause, longest = number("retries", 6), number("retry_pause", 1), number("retry_longest", 60)

local function again(failure)
  if failure.attempt > retries then return end
  local after = math.min(longest, pause * 2 ^ (failure.attempt - 1))
  cr.log.info(("attempt %d failed, the next is in %g s: %s"):format(failure.attempt, after, failure.message))
  return { retry = true, after = after }
end

cr.on("fail-temp", again)
if cr.args.retry_env == "yes" then cr.on("fail-env", again) end
