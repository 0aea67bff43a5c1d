---@meta cr
--- The table `cr`: everything that a hook script can use of Reprise.
---
--- A script gets it with `local cr = require "cr"`. There is no `io`, `os`, `package` or `debug`: what a script may do to the world is in here or nowhere.
--- Functions that fail for a reason of the machine (a file that is missing) return nil and a message; wrong arguments raise an error.

---@class cr
---@field version string Version of the program, for example `0.1.0`.
---@field args table<string, string> What `--hook-arg KEY=VALUE` gave; every value is a string, a key that was not given is nil.
---@field state table Kept from event to event, and from the checkpoint to the restart in the context file: numbers, strings, booleans and tables of them.
---@field STOP cr.Stop Returned by a handler: no opinion, and no handler after this one is asked either.
---@field dry_run boolean Whether nothing will be changed: effects are refused.
---@field pure boolean Whether effects are refused (`--hook-pure`).
---@field log cr.Log Lines for the user. They are shown when the job runs again.
---@field json cr.Json Reading and writing JSON.
local cr = {}

--- The type of `cr.STOP`.
---@class cr.Stop

--- Registers a handler. Handlers run in the order of registration, files in the order of `--hook`; the first answer that is not nil counts.
---
--- With a filter the handler is only called for events whose fields match. Unknown events and unknown keys are errors.
---@param event cr.EventName Which event.
---@param filter cr.Filter Which of these events; may be left out.
---@param handler fun(event: table): any Gets the event's table, returns its answer or nothing.
---@overload fun(event: "pre-checkpoint", handler: cr.handler.PreCheckpoint)
---@overload fun(event: "pre-checkpoint", filter: cr.Filter, handler: cr.handler.PreCheckpoint)
---@overload fun(event: "frozen", handler: cr.handler.Frozen)
---@overload fun(event: "frozen", filter: cr.Filter, handler: cr.handler.Frozen)
---@overload fun(event: "process", handler: cr.handler.Process)
---@overload fun(event: "process", filter: cr.Filter, handler: cr.handler.Process)
---@overload fun(event: "file-disposition", handler: cr.handler.FileDisposition)
---@overload fun(event: "file-disposition", filter: cr.Filter, handler: cr.handler.FileDisposition)
---@overload fun(event: "object-disposition", handler: cr.handler.ObjectDisposition)
---@overload fun(event: "object-disposition", filter: cr.Filter, handler: cr.handler.ObjectDisposition)
---@overload fun(event: "area-disposition", handler: cr.handler.AreaDisposition)
---@overload fun(event: "area-disposition", filter: cr.Filter, handler: cr.handler.AreaDisposition)
---@overload fun(event: "post-checkpoint", handler: cr.handler.PostCheckpoint)
---@overload fun(event: "post-checkpoint", filter: cr.Filter, handler: cr.handler.PostCheckpoint)
---@overload fun(event: "checkpoint-failed", handler: cr.handler.CheckpointFailed)
---@overload fun(event: "checkpoint-failed", filter: cr.Filter, handler: cr.handler.CheckpointFailed)
---@overload fun(event: "pre-restart", handler: cr.handler.PreRestart)
---@overload fun(event: "pre-restart", filter: cr.Filter, handler: cr.handler.PreRestart)
---@overload fun(event: "pre-resume", handler: cr.handler.PreResume)
---@overload fun(event: "pre-resume", filter: cr.Filter, handler: cr.handler.PreResume)
---@overload fun(event: "on-success", handler: cr.handler.OnSuccess)
---@overload fun(event: "on-success", filter: cr.Filter, handler: cr.handler.OnSuccess)
---@overload fun(event: "fail-args", handler: cr.handler.FailArgs)
---@overload fun(event: "fail-args", filter: cr.Filter, handler: cr.handler.FailArgs)
---@overload fun(event: "fail-temp", handler: cr.handler.FailTemp)
---@overload fun(event: "fail-temp", filter: cr.Filter, handler: cr.handler.FailTemp)
---@overload fun(event: "fail-env", handler: cr.handler.FailEnv)
---@overload fun(event: "fail-env", filter: cr.Filter, handler: cr.handler.FailEnv)
---@overload fun(event: "fail-perm", handler: cr.handler.FailPerm)
---@overload fun(event: "fail-perm", filter: cr.Filter, handler: cr.handler.FailPerm)
---@overload fun(event: "job-exit", handler: cr.handler.JobExit)
---@overload fun(event: "job-exit", filter: cr.Filter, handler: cr.handler.JobExit)
function cr.on(event, filter, handler) end

--- Names of fields of the event, each with the value it must have, or a list of values of which one must match. A string is a
--- pattern, a number must be equal. true wants a field that is true, or that is there at all; false one that is false, empty or nil.
--- With `batch = true` the handler of a disposition gets a list of events and returns a table from their positions to the answers.
---@alias cr.Filter table<string, string|number|boolean|(string|number|boolean)[]>

--- Refuses the checkpoint or the restart. It is final: it does not return, and no `pcall` brings the handler back. Allowed in `pre-checkpoint`, `frozen`, `process`, the three
--- dispositions, `pre-restart` and `pre-resume`; elsewhere nothing can be refused any more, and it is an error of the script.
---@param class cr.Class Who can fix it; the exit category of the program.
---@param message string What the user reads.
---@param options? cr.FailOptions What else the program does with it.
function cr.fail(class, message, options) end

--- What else a refusal says.
---@class cr.FailOptions
---@field remedy? string What the user can do about it; shown behind the class.
---@field exit? integer Exit status of the program, from 1 to 255; 125 (ECANCELED) for every class if it is not given.

--- What is known of a path.
---@class cr.Stat
---@field type "file"|"directory"|"link"|"fifo"|"socket"|"character device"|"block device"|"unknown" What it is.
---@field size integer Bytes.
---@field mtime number Last change of the contents, seconds since 1970.
---@field mode integer Permission bits, for example `tonumber("644", 8)`.
---@field uid integer Owner.
---@field gid integer Group.
---@field inode integer Inode number.
---@field device integer Number of the file system's device.

--- What is known of a path; links are followed.
---@param path string Absolute, or relative to the directory of the program.
---@return cr.Stat? stat nil if it cannot be told.
---@return string? message Why not.
function cr.stat(path) end

--- What is known of a path itself; a link is not followed.
---@param path string Absolute, or relative to the directory of the program.
---@return cr.Stat? stat nil if it cannot be told.
---@return string? message Why not.
function cr.lstat(path) end

--- What is in a directory.
---@param path string The directory.
---@return string[]? names Sorted, without `.` and `..`, at most 100,000; nil if it cannot be listed.
---@return string? message Why not.
function cr.list_dir(path) end

--- Where a symbolic link leads.
---@param path string The link.
---@return string? target As it stands in the link; nil if it cannot be read.
---@return string? message Why not.
function cr.readlink(path) end

--- Whether there is something at a path; links are followed.
---@param path string The path.
---@return boolean exists
function cr.exists(path) end

--- The contents of a file.
---@param path string The path.
---@param limit? integer The most bytes to read, at most 16 MiB, 1 MiB if not given. A longer file cannot be read.
---@return string? text nil if it cannot be read.
---@return string? message Why not.
function cr.read_file(path, limit) end

--- Writes a file in one step: readers see the old contents or the new, never a part. An effect: refused under `--hook-pure` and in dry runs.
---@param path string The path.
---@param text string The new contents.
---@return boolean? written nil if it could not be written.
---@return string? message Why not.
function cr.write_file(path, text) end

--- Adds to the end of a file, in one step; it is made if it is missing. An effect: refused under `--hook-pure` and in dry runs.
---@param path string The path.
---@param text string What to add.
---@return boolean? written nil if it could not be written.
---@return string? message Why not.
function cr.append_file(path, text) end

--- Makes a directory, and those above it that are missing; one that is there is left as it is. An effect: refused under `--hook-pure` and in dry runs.
---@param path string The path.
---@return boolean? made nil if it could not be made.
---@return string? message Why not.
function cr.mkdir(path) end

--- Renames a file or a directory, on one file system; a file that has the new name is replaced. An effect: refused under `--hook-pure` and in dry runs.
---@param old string The path.
---@param new string The new path.
---@return boolean? renamed nil if it could not be renamed.
---@return string? message Why not.
function cr.rename(old, new) end

--- An environment variable of the program.
---@param name string Its name.
---@return string? value nil if it is not set.
function cr.env(name) end

--- The name of this host.
---@return string name
function cr.hostname() end

--- The time.
---@return number seconds Since 1970, with fractions.
function cr.now() end

--- A moment as text, in UTC.
---@param format? string With `%Y %m %d %H %M %S %F %T %j %u %s %%` as in strftime(3); `%Y-%m-%dT%H:%M:%SZ` if not given.
---@param seconds? number Since 1970; now if not given.
---@return string text
function cr.date(format, seconds) end

--- Any value as one line of Lua, for messages: keys in order, tables within tables up to 8 levels.
---@param value any
---@return string text
function cr.inspect(value) end

--- A command: its words as list items, and how to run it.
---@class cr.Command
---@field [integer] string The program, found through PATH, and its arguments. There is no shell.
---@field timeout? number The most seconds it may take; never more than is left of the handler's time. After that it is killed, which is an error.
---@field env? table<string, string> Variables to set, on top of the program's environment.
---@field stdin? string What it reads; nothing if not given.
---@field background? boolean Whether to start it and not wait: its output is thrown away; 16 may run at a time.

--- How a command ended.
---@class cr.Ended
---@field status? integer Exit status; nil when a signal ended it.
---@field signal? integer The signal that ended it; nil when it exited.
---@field stdout? string What it wrote to its standard output, at most 1 MiB.
---@field output? string `stdout` without line breaks at its end, as `$(…)` of a shell.
---@field stderr? string What it wrote to its standard error, at most 1 MiB.
---@field pid? integer Its process id, with `background = true`; all else is nil then.

--- Runs a command and waits for it. An effect: refused under `--hook-pure` and in dry runs.
---
--- It inherits nothing but its standard input and outputs. It ends with the call at the latest when its time is up, and what it leaves behind ends with
--- the program, also in sessions of its own. What must last longer runs with `background = true`.
---@param command cr.Command The words and the options.
---@return cr.Ended? ended nil if it could not be started.
---@return string? message Why not.
function cr.exec(command) end

--- Whether a pattern describes all of a path: `*` and `?` within one component, `**` across components, `[a-z]`, `{a,b}`.
---@param pattern string The pattern.
---@param path string The path.
---@return boolean matches
function cr.glob(pattern, path) end

--- Keeps a note in the context file; `cr_info` shows it, and `pre-restart` gets it. Possible until the context file is written, later it is an error.
---@param key string Its name.
---@param value string|number|boolean What to keep; it becomes a string.
function cr.annotate(key, value) end

--- Lines for the user, 64 KiB a call. Several values are joined with blanks; every value is made a string.
---@class cr.Log
local log = {}

--- Shown with `-v`, and by `cr_hooks`.
---@param ... any What to say.
function log.debug(...) end

--- Always shown, unless with `--quiet`.
---@param ... any What to say.
function log.info(...) end

--- Always shown, unless with `--quiet`.
---@param ... any What to say.
function log.warn(...) end

--- Always shown, unless with `--quiet`.
---@param ... any What to say.
function log.error(...) end

--- Reading and writing JSON.
---@class cr.Json
local json = {}

--- A value as JSON. Raises an error for functions and for tables that are neither a list nor keyed by strings.
---@param value any
---@return string text
function json.encode(value) end

--- The value of a JSON text. Raises an error if the text is not JSON; null becomes nil.
---@param text string
---@return any value
function json.decode(text) end

return cr
