//! The tools under test, as their users call them.
//!
//! Relies on the command lines of BLCR's manuals only. Leaves judging the job to `job`.

use std::fs;
use std::path::Path;

use nix::unistd::Pid;

use crate::children::End;
use crate::job::Job;
use crate::site::{Ran, Site};
use crate::verdict::{Attempt, Verdict, ensure, failed};

impl Site {
    /// `cr_checkpoint EXTRA… -f CONTEXT PID`, run to its end whatever that is.
    pub fn try_checkpoint(&self, extra: &[&str], context: &Path, pid: Pid) -> Verdict<Ran> {
        let mut command = self.command(self.tool("cr_checkpoint"));
        command.args(extra).arg("-f").arg(context).arg(pid.to_string());
        self.run(&mut command)
    }

    /// A checkpoint that must succeed, and whose context file must be whole.
    pub fn checkpoint(&self, extra: &[&str], context: &Path, pid: Pid) -> Verdict {
        self.try_checkpoint(extra, context, pid)?.succeeded()?;
        self.verify(context)?;
        self.no_residue()
    }

    /// `cr_info --verify` finds nothing wrong with the context file.
    pub fn verify(&self, context: &Path) -> Verdict {
        ensure(context.is_file(), || format!("cr_checkpoint succeeded but left no {}", context.display()))?;
        let mut command = self.command(self.tool("cr_info"));
        self.run(command.arg("--verify").arg(context))?.succeeded().map(drop)
    }

    /// A checkpoint that kills the job: it must be gone, by SIGKILL if it is still ours to ask.
    pub fn checkpoint_and_kill(&self, extra: &[&str], context: &Path, job: &Job) -> Verdict {
        if self.checkpoint_and_kill_if_there(extra, context, job)? {
            return Ok(());
        }
        Err(job.with_output(failed("the job has ended before the checkpoint")))
    }

    /// The same for a job that may end by itself at any moment; says whether it was still there.
    pub fn checkpoint_and_kill_if_there(&self, extra: &[&str], context: &Path, job: &Job) -> Verdict<bool> {
        let extra = [extra, &["--kill"]].concat();
        let checkpoint = self.checkpoint(&extra, context, job.pid);
        if checkpoint.is_err() && self.children.end_of(job.waited) == Some(End::Code(0)) {
            return Ok(false);
        }
        checkpoint?;
        let end = self.children.wait(job.waited, self.patience)?;
        // After a restart the tool stands for the job, and mirrors its end.
        ensure(end == End::Signal(9), || format!("the killed job ended with {end}, not with signal 9"))?;
        self.gone()?;
        Ok(true)
    }

    /// `cr_restart EXTRA… CONTEXT`, left running; returns when the job runs again.
    pub fn restart(&self, extra: &[&str], context: &Path, was: &Job) -> Verdict<Job> {
        let mark = self.context("restarted");
        let _ = fs::remove_file(&mark);
        let mut command = self.command(self.tool("cr_restart"));
        // Commands of hooks run in the directory of cr_restart.
        command.args(extra).args(["--run-on-success", ": >restarted"]).arg(context);
        let (tool, output) = self.launch(&mut command)?;
        let job = self.find_restarted(tool, &output, &mark, was)?;
        self.step(format_args!("  the job runs again as process {}", job.pid));
        Ok(job)
    }

    /// Fails if temporary files lie beside the context files.
    pub fn no_residue(&self) -> Verdict {
        let entries = fs::read_dir(&self.dir).attempt("list the case's directory")?;
        let names = entries.flatten().map(|entry| entry.file_name().display().to_string());
        let residue: Vec<String> = names.filter(|name| name.starts_with('.') && name.contains(".tmp")).collect();
        if residue.is_empty() { Ok(()) } else { Err(failed(format_args!("left behind: {}", residue.join(" ")))) }
    }
}
