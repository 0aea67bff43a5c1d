---@meta
--- The arguments of the events: one class an event, with every field.
---
--- Every table is read-only: writing to a field, or reading one that does not exist, is an error that names the fields. A field with `?` may be nil.
--- Units stand in the comments; microseconds also in the names (`_us`).

--- For which half of the work a disposition is decided.
---@alias cr.Side
---| "checkpoint" # the job stands still and is about to be saved
---| "restart" # the context file was read, nothing was made

--- `pre-checkpoint`, `frozen`: a checkpoint was asked for.
---@class cr.JobEvent
---@field ids integer[] The ids as they were given; what they name is `scope`.
---@field scope string What the ids name, or the first of them where they are of several types: `tree`, `process`, `group`, `session`, `share`, `cgroup` or `batch`.
---@field processes cr.Member[] The processes that will be saved.
---@field options cr.Options What was asked for.
---@field freeze_us? integer How long the job has stood still, microseconds; nil before it stands.

--- A process as a list of processes shows it.
---@class cr.Member
---@field pid integer Process id.
---@field name string Name of its first thread, at most 15 bytes.

--- The options of a checkpoint that scripts may want to know.
---@class cr.Options
---@field path? string Where the context file or directory goes; nil when it goes to a descriptor.
---@field signal? integer The signal for every process afterwards; nil for none.
---@field time_limit? number The time limit in seconds; nil for none.
---@field sync boolean Whether the file is synced to the disk.
---@field dry_run boolean Whether this is a dry run: nothing will be written.

--- `process`: a process is about to be described.
---@class cr.ProcessEvent
---@field pid integer Process id.
---@field ppid integer Parent.
---@field pgid integer Process group.
---@field sid integer Session.
---@field uid integer Real user id.
---@field name string Name of its first thread, at most 15 bytes.
---@field command string Command line, its words joined with blanks.
---@field threads integer Number of threads; 0 in a zombie.
---@field bytes integer Memory that is resident or swapped out, bytes.

--- A descriptor of a process.
---@class cr.Descriptor
---@field pid integer Process id.
---@field fd integer Descriptor number.

--- `file-disposition`: a regular file that is open or mapped.
---@class cr.FileEvent
---@field side cr.Side `checkpoint` or `restart`.
---@field pid integer The first process that has it.
---@field descriptors cr.Descriptor[] All descriptors that lead to it; empty for a file that is only mapped.
---@field path string Its path; at restart after relocation.
---@field kind string Its kind: `regular`.
---@field flags string[] Open flags of the first descriptor in the words of open(2), for example `O_RDWR`, `O_APPEND`.
---@field writable boolean Whether the job can write to it.
---@field offset integer File offset of the first descriptor, bytes.
---@field size integer Size at the checkpoint, bytes.
---@field inode integer Inode number at the checkpoint.
---@field mtime integer Last change of the contents before the checkpoint, seconds since 1970.
---@field mapped boolean Whether the job maps it.
---@field shared boolean Whether a mapping of it is shared: what is written there goes into the file.
---@field executable boolean Whether it is the program of a process.
---@field deleted boolean Whether it has no name any more; its contents are always saved.
---@field saved boolean Whether the context file has its contents: replace and substitute are possible at restart.
---@field decided? string What was decided at the checkpoint; nil at the checkpoint itself.
---@field changed? cr.Changed How the file differs from what it was at the checkpoint; nil when it does not, and at the checkpoint itself.

--- What is different about a file since the checkpoint.
---@class cr.Changed
---@field missing boolean It is not there any more.
---@field size boolean Its size is another.
---@field mtime boolean Its time of last change is another.
---@field content boolean Its contents are known to be others: of small files, programs and libraries.

--- `object-disposition`: something open that may not be restorable.
---@class cr.ObjectEvent
---@field side cr.Side `checkpoint` or `restart`.
---@field pid integer The first process that has it.
---@field descriptors cr.Descriptor[] All descriptors that lead to it; none for `namespaces`.
---@field kind string Its kind, for example `socket`, `device`, `tty`, `fifo`; `unknown` when no kind knows it. `namespaces`: a namespace of the process's own, which it will come back without.
---@field path string What the link in /proc/PID/fd says: a path, or for example `socket:[4711]`; of a namespace the link in /proc/PID/ns, for example `net:[4026532000]`.
---@field restorable boolean Whether Reprise can restore it: nobody needs to decide.
---@field family? string Address family of a socket: `unix`, `inet`, `inet6`, `netlink` …; nil for others.
---@field type? string Type of a socket: `stream`, `datagram`, `seqpacket`, `raw`; nil for others.
---@field state? string State of a socket: `listening`, `connected`, `unconnected` …; nil for others.
---@field local? string Local address of a socket; nil when it has none.
---@field peer? string Address of the other end of a socket; nil when it has none.
---@field peer_pid? integer Process at the other end of a local socket; nil when it is not known.

--- `area-disposition`: a memory area whose contents would be saved.
---@class cr.AreaEvent
---@field pid integer The process.
---@field name string `[heap]`, `[stack]`, `[anon:NAME]`, the path of a mapped file, or empty for plain anonymous memory.
---@field range integer[] Its first address, and the address after its last byte.
---@field perms string Access as /proc/PID/maps shows it, for example `rw-p`.
---@field flags string[] The two-letter attributes of /proc/PID/smaps, for example `dd` (not in core dumps), `wf` (wiped on fork).
---@field bytes integer Bytes that would be saved.
---@field file? string The file it maps; nil for anonymous memory.

--- `post-checkpoint`: the context file is complete.
---@class cr.SavedEvent
---@field path? string The context file or directory; nil when it went to a descriptor.
---@field bytes integer Size, bytes.
---@field page_bytes integer Bytes of memory in it.
---@field processes integer Processes saved.
---@field threads integer Threads saved.
---@field frozen boolean Whether the job still stands: your answer decides how it goes on.
---@field timings cr.Timings How long it took.
---@field annotations table<string, string> What scripts noted with cr.annotate.

--- `checkpoint-failed`, `fail-args`, `fail-temp`, `fail-env`, `fail-perm`: it did not succeed, and everything was put back.
---@class cr.FailureEvent
---@field class cr.Class Who can fix it: `args`, `temp`, `env` or `perm`.
---@field code integer Error number, or one of libcr's codes from 2354 up.
---@field message string What was attempted and why it failed.
---@field stage string The phase in which it failed, for example `plan`.
---@field pid? integer Process concerned; nil when it is not known.
---@field descriptor? integer Descriptor concerned; nil when it is not known.
---@field path? string Path concerned; nil when it is not known.
---@field errno? integer The error number; nil for libcr's own codes.
---@field remedy? string What the user can do; nil when nothing helps.
---@field attempt integer Which attempt it was, from 1.

--- `pre-restart`: a context file was read, nothing was made.
---@class cr.RestartEvent
---@field path? string The context file or directory; nil when it comes from a descriptor.
---@field program string Version of the program that wrote it.
---@field host string Host it was written on.
---@field kernel string Kernel it was written on.
---@field time integer When it was written, seconds since 1970.
---@field scope string What the ids named, or the first of them: `tree`, `process`, `group`, `session`, `share`, `cgroup` or `batch`.
---@field ids integer[] The ids given to the checkpoint.
---@field processes cr.Member[] The processes in it.
---@field threads integer Threads in it.
---@field annotations table<string, string> What scripts noted at the checkpoint with cr.annotate.
---@field differs cr.Differs What is different here.

--- What differs between the machine of the checkpoint and this one.
---@class cr.Differs
---@field host boolean Another host name.
---@field kernel boolean Another kernel release.
---@field processor boolean The processor lacks something the job uses.
---@field boot boolean The machine has been started again since, or it is another one.
---@field libraries string[] Programs and libraries that changed or are missing.
---@field files string[] Other files that changed or are missing.
---@field pids integer[] Process ids of the job that are in use.

--- `pre-resume`, `on-success`: a restarted job.
---@class cr.RunningEvent
---@field pids cr.PidPair[] Every process: its id at the checkpoint and now.
---@field lead? integer The process whose end cr_restart waits for; nil when there is none.
---@field threads integer Threads restored.
---@field page_bytes integer Bytes of memory put back.
---@field timings cr.Timings How long it took.

--- Times since something began, microseconds.
---@class cr.Timings
---@field frozen_us integer How long the job has stood still so far; 0 at a restart.
---@field total_us integer Time since the request.

--- A process id at the checkpoint and now.
---@class cr.PidPair
---@field old integer At the checkpoint.
---@field new integer Now, as the world outside of the job counts.
---@field inner? integer Now, as the job itself counts in a pid namespace of its own; nil where it has none.

--- `job-exit`: the restarted job has ended.
---@class cr.ExitEvent
---@field status? integer Exit status; nil when a signal ended it.
---@field signal? integer The signal that ended it; nil when it exited.
