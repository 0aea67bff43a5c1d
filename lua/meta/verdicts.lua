---@meta
--- What handlers may answer. nil is always allowed and means: no opinion, ask the next.
---
--- Any other answer than those of the event is an error that names the script, the line and the known words.

--- Who can fix a failure.
---@alias cr.Class
---| "args" # the request is wrong: whoever made it must change it
---| "temp" # the same request may succeed later
---| "env" # the machine must be put right: a file, a permission, a kernel feature
---| "perm" # it will never succeed

--- What becomes of a checkpoint.
---@alias cr.SkipVerdict
---| "skip" # succeed without making a context file

--- What becomes of a process.
---@alias cr.ProcessVerdict
---| "omit" # leave it out, and everything that descends from it

--- What becomes of a regular file. The words are those of IRIX CPR.
---@alias cr.FileWord
---| "merge" # open it again and go on at the same offset; a file that the job can write is first cut back to its saved length. The default
---| "ignore" # open it as the job opened it at first, at offset 0; it is made if it is missing and the job writes it
---| "append" # open it again and go on at its end, whatever its length is then; it is never cut
---| "replace" # save the contents with the job, and put them back over the path at the restart, in one step
---| "substitute" # save the contents with the job, and give the job a copy without a name at the restart; whatever is at the path is left alone
---| "fail" # refuse the checkpoint or the restart

--- A word for a file together with the path to open at the restart.
---@class cr.FileChoice
---@field action? cr.FileWord What becomes of the file; `merge` if it is not given.
---@field path? string Absolute path to open instead.

--- What becomes of a regular file: a word, or a word and another path.
---@alias cr.FileVerdict cr.FileWord|cr.FileChoice

--- What becomes of another object.
---@alias cr.ObjectWord
---| "fail" # refuse the checkpoint or the restart. The default for what cannot be restored
---| "close" # close the descriptors that lead to it: the job finds them closed
---| "lose" # go on without it: for state that cannot be kept, such as namespaces of the job's own (`kind` is `namespaces`)
---| "reconnect" # connect to the same address anew, when the job comes back: what waited is lost. For Unix sockets whose peer has a name
---| "hang_up" # keep what waits, and let the job find the other end closed (end of file, ECONNRESET). For Unix sockets, and pseudo-terminals whose slave others have
---| "repair" # put the connection back as it was on the network; refused, because no kind can do it in this release

--- Another path that is opened in place of an object.
---@class cr.ObjectChoice
---@field path string Absolute path to open instead, for example `/dev/null`.

--- What becomes of another object: a word, or a path to open instead.
---@alias cr.ObjectVerdict cr.ObjectWord|cr.ObjectChoice

--- What becomes of the contents of a memory area.
---@alias cr.AreaVerdict
---| "save" # save them. The default
---| "skip" # do not save them: the area reads as zeros, or as the file that it maps
---| "fail" # refuse the checkpoint

--- How the job goes on after its checkpoint.
---@alias cr.AfterwardsVerdict
---| "continue" # it runs on. The default
---| "stop" # it gets SIGSTOP
---| "kill" # it gets SIGKILL

--- Whether a restarted job keeps its process ids.
---@alias cr.IdWord
---| "keep" # it keeps them; they must be free
---| "any" # it keeps them if they are free, and else gets new ones
---| "new" # it gets new ones
---| "namespace" # it keeps them in user, pid and mount namespaces of its own, where they are free

--- Where restarted processes find a directory of their own.
---@alias cr.DirectoryWord
---| "keep" # where it was. The default
---| "ignore" # where the restarter is

--- Paths and ids of a restart; what is left out is not decided.
---@class cr.RestartVerdict
---@field relocate? table<string, string> Leading components of absolute paths, and what takes their place.
---@field pid? cr.IdWord Whether the processes keep their ids.
---@field cwd? cr.DirectoryWord Where they find their working directory.
---@field root? cr.DirectoryWord Where they find their root directory.

--- An exit status from 0 to 255, as a number or as a field.
---@alias cr.StatusVerdict integer|cr.Status

--- An exit status.
---@class cr.Status
---@field status integer From 0 to 255.

--- Another attempt.
---@class cr.Retry
---@field retry true It is tried again.
---@field after? number After this many seconds, at most a day; at once if it is not given.

--- An exit status, or another attempt.
---@alias cr.RetryVerdict cr.StatusVerdict|cr.Retry
