//! What `cr_info` shows of a saved job besides its description: core files for debuggers, and the difference between two context files.
//!
//! Relies on the test program `copy_on_write`, whose processes share pages of their memory. A core file is compared byte by byte with the memory of the
//! stopped job; a debugger reads it too where there is one.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use object::read::elf::{FileHeader, ProgramHeader};
use object::{LittleEndian, elf};

use crate::case::{Case, Scene};
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::site::Site;
use crate::verdict::{Attempt, Verdict, ensure, says, skipped};

/// Every promise.
pub fn cases() -> Vec<Case> {
    let scenes: &[(&str, Scene)] = &[
        ("core", a_core_file_has_the_memory_of_every_process),
        ("debugger", a_debugger_reads_a_core_file),
        ("core-refused", a_core_file_overwrites_nothing),
        ("diff", two_context_files_are_compared),
    ];
    scenes.iter().map(|(journey, scene)| Case::new("info", journey, *scene)).collect()
}

fn start(site: &Site, program: &str) -> Verdict<Job> {
    let job = site.start(site.command(site.program(program)))?;
    site.wait_ready(&job)?;
    Ok(job)
}

fn end_all(site: &Site, job: &Job) -> Verdict {
    for pid in observe::descendants() {
        // One that has ended meanwhile is what is wanted.
        let _ = kill(pid, Signal::SIGKILL);
    }
    site.children.wait(job.waited, site.patience)?;
    site.gone()
}

fn core_of(site: &Site, context: &Path, pid: Pid, core: &Path) -> Verdict {
    let mut command = site.command(site.tool("cr_info"));
    command.arg("--core").arg(pid.to_string()).arg("--to").arg(core).arg(context);
    site.run(&mut command)?.succeeded().map(drop)
}

fn a_core_file_has_the_memory_of_every_process(site: &Site) -> Verdict {
    let context = site.context("job.ctx");
    for (program, destination) in [("copy_on_write", "-f"), ("thread", "-f"), ("copy_on_write", "-d")] {
        let job = start(site, program)?;
        let mut command = site.command(site.tool("cr_checkpoint"));
        site.run(command.args(["--stop", destination]).arg(&context).arg(job.pid.to_string()))?.succeeded()?;
        for pid in std::iter::once(job.pid).chain(observe::descendants().into_iter().filter(|pid| *pid != job.pid)) {
            let core = site.context("core");
            core_of(site, &context, pid, &core)?;
            let bytes = compare(&core, pid)?;
            site.step(format_args!("{bytes} bytes of process {pid} are equal"));
            fs::remove_file(&core).attempt("remove the core file")?;
        }
        end_all(site, &job)?;
        let removed = if context.is_dir() { fs::remove_dir_all(&context) } else { fs::remove_file(&context) };
        removed.attempt("remove the context file")?;
    }
    Ok(())
}

/// Compares the segments of a core file with the memory of a stopped process; returns how many bytes were equal.
fn compare(core: &Path, pid: Pid) -> Verdict<usize> {
    let bytes = fs::read(core).attempt("read the core file")?;
    let header = elf::FileHeader64::<LittleEndian>::parse(&*bytes).attempt("read its header")?;
    let endian = header.endian().attempt("read its byte order")?;
    let segments = header.program_headers(endian, &*bytes).attempt("read its segments")?;
    let memory = File::open(format!("/proc/{pid}/mem")).attempt("open the memory of the job")?;
    let (mut equal, mut threads) = (0, 0);
    for segment in segments {
        if let Some(mut notes) = segment.notes(endian, &*bytes).attempt("read its notes")? {
            while let Some(note) = notes.next().attempt("read a note")? {
                threads += usize::from(note.n_type(endian) == elf::NT_PRSTATUS);
            }
            continue;
        }
        let address = segment.p_vaddr(endian);
        let saved = segment.data(endian, &*bytes).ok().unwrap_or_default();
        let mut live = vec![0; saved.len()];
        memory.read_exact_at(&mut live, address).attempt(format_args!("read {} bytes of memory at {address:#x}", saved.len()))?;
        ensure(live == saved, || format!("memory at {address:#x} of process {pid} is not what the core file has"))?;
        equal += saved.len();
    }
    let tasks = fs::read_dir(format!("/proc/{pid}/task")).attempt("count its threads")?.count();
    ensure(threads == tasks, || format!("{threads} threads in the core file, {tasks} in process {pid}"))?;
    ensure(64 * 1024 < equal, || format!("only {equal} bytes of process {pid} in the core file"))?;
    Ok(equal)
}

fn a_debugger_reads_a_core_file(site: &Site) -> Verdict {
    if Command::new("gdb").arg("--version").output().is_err() {
        return Err(skipped("gdb is not installed"));
    }
    let (context, core) = (site.context("job.ctx"), site.context("core"));
    let job = start(site, "thread")?;
    site.checkpoint(&["--stop"], &context, job.pid)?;
    core_of(site, &context, job.pid, &core)?;
    let mut gdb = site.command("gdb");
    gdb.args(["-q", "-batch", "-nx", "-ex", "info threads", "-ex", "thread apply all bt"]).arg(site.program("thread")).arg(&core);
    let ran = site.run(&mut gdb)?.succeeded()?;
    says(&ran.stdout, " main (")?;
    says(&ran.stdout, &format!("LWP {}", job.pid))?;
    end_all(site, &job)
}

fn a_core_file_overwrites_nothing(site: &Site) -> Verdict {
    let (context, core) = (site.context("job.ctx"), site.context("core"));
    let job = start(site, "process")?;
    site.checkpoint(&[], &context, job.pid)?;
    fs::write(&core, "precious").attempt("make a file")?;
    let mut command = site.command(site.tool("cr_info"));
    command.arg("--core").arg(job.pid.to_string()).arg("--to").arg(&core).arg(&context);
    let ran = site.run(&mut command)?;
    ensure(ran.end == End::Code(17), || format!("not refused: {}", ran.end))?;
    says(&ran.stderr, "choose another name with --to")?;
    ensure(fs::read(&core).is_ok_and(|bytes| bytes == b"precious"), || "the file was overwritten".to_owned())?;
    let mut command = site.command(site.tool("cr_info"));
    let ran = site.run(command.args(["--core", "99999"]).arg(&context))?;
    ensure(ran.end == End::Code(3), || format!("a process that is not there: {}", ran.end))?;
    says(&ran.stderr, "process 99999 is not in the context file")?;
    end_all(site, &job)
}

fn two_context_files_are_compared(site: &Site) -> Verdict {
    let (before, after) = (site.context("before.ctx"), site.context("after.ctx"));
    let script = "i=0; while sleep 0.01; do i=$((i + 1)); echo $i >&3; done";
    let job = site.start({
        let mut command = site.command("sh");
        command.args(["-c", &format!("exec 3>lines; {script}")]);
        command
    })?;
    let lines = job.work.join("lines");
    let length = || fs::metadata(&lines).map_or(0, |metadata| metadata.len());
    ensure(wait_until(site.patience, || 0 < length()), || "the job writes nothing".to_owned())?;
    site.checkpoint(&["--stop", "-p"], &before, job.pid)?;
    let mut command = site.command(site.tool("cr_info"));
    site.run(command.arg("--diff").arg(&before).arg(&before))?.succeeded()?;
    let first = length();
    kill(job.pid, Signal::SIGCONT).attempt("let the job go on")?;
    ensure(wait_until(site.patience, || first < length()), || "the job does not go on".to_owned())?;
    site.checkpoint(&["--stop", "-p"], &after, job.pid)?;
    let mut command = site.command(site.tool("cr_info"));
    let ran = site.run(command.arg("--diff").arg(&before).arg(&after))?;
    ensure(ran.end == End::Code(1), || format!("a difference is {}", ran.end))?;
    says(&ran.stdout, &format!("descriptors.3.offset: {first} → {}", length()))?;
    says(&ran.stdout, "memory changed: ")?;
    end_all(site, &job)
}
