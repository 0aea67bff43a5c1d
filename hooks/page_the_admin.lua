-- Writes a mail when a person must act: the machine has to be put right, or a job cannot be restarted at all.
--
-- Arguments:
--   mail_to=ADDRESS      who gets it (default root)
--   mail_command=PROGRAM called as PROGRAM -s SUBJECT ADDRESS, with the text on its standard input (default mail)
--
-- Example:
--   cr_restart --hook page_the_admin.lua --hook-arg mail_to=hpc-admin@example.org context.4711

local cr = require "cr"

local to = cr.args.mail_to or "root"
local program = cr.args.mail_command or "mail"

local function write(failure)
  if cr.dry_run or cr.pure then return end
  local lines = {
    failure.message,
    "",
    "host:    " .. cr.hostname(),
    "class:   " .. failure.class,
    "stage:   " .. failure.stage,
    "attempt: " .. failure.attempt,
  }
  if failure.path then lines[#lines + 1] = "path:    " .. failure.path end
  if failure.remedy then lines[#lines + 1] = "to do:   " .. failure.remedy end
  local subject = ("restart failed on %s (%s)"):format(cr.hostname(), failure.class)
  local sent, why = cr.exec { program, "-s", subject, to, stdin = table.concat(lines, "\n") .. "\n" }
  if not sent or sent.status ~= 0 then cr.log.warn(("no mail to %s: %s"):format(to, why or sent.stderr)) end
end

cr.on("fail-env", write)
cr.on("fail-perm", write)
