//! A job under test, and the protocol of the test programs.
//!
//! A program starts in its own working directory with its output in the file `out`. It prints READY once its state is
//! made, waits for the file `go`, verifies its state, and prints PASS or FAIL with file and line; or SKIP instead of
//! READY. Relies on `observe` for seeing processes. Leaves what happens between READY and `go` to the journeys.

use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::Pid;

use crate::children::{End, wait_until};
use crate::observe;
use crate::site::Site;
use crate::verdict::{Attempt, Stop, Verdict, ensure, failed, skipped};

/// A running job.
pub struct Job {
    /// Its first process.
    pub pid: Pid,
    /// Whose end tells the job's: the first process, or the cr_restart that stands for it.
    pub waited: Pid,
    /// Its working directory.
    pub work: PathBuf,
    /// What cr_restart printed, if this one was restarted.
    pub complaints: Option<PathBuf>,
}

impl Site {
    /// Starts a command in the working directory, its output going to `out` there.
    pub fn start(&self, mut command: Command) -> Verdict<Job> {
        let work = self.work();
        let open = || OpenOptions::new().create(true).append(true).open(work.join("out"));
        let out = open().attempt("make the file out")?;
        self.give_away(&work.join("out"))?;
        command.current_dir(&work).stderr(out.try_clone().attempt("share the file out")?).stdout(out);
        self.step(crate::site::spelled(&command));
        let pid = self.children.start(&mut command)?;
        Ok(Job { pid, waited: pid, work, complaints: None })
    }

    /// Starts a test program whose pids may be asked for again, and waits for READY.
    pub fn start_program(&self, name: &str) -> Verdict<Job> {
        if !self.namespaced {
            return Err(skipped("needs its own pids"));
        }
        let job = self.start(self.command(self.program(name)))?;
        self.wait_ready(&job)?;
        Ok(job)
    }

    /// Waits for READY; a SKIP becomes one of this case.
    pub fn wait_ready(&self, job: &Job) -> Verdict {
        let mut out = String::new();
        let spoke = wait_until(self.patience, || {
            let ended = self.children.end_of(job.waited).is_some();
            out = job.output();
            ended || ["READY", "SKIP", "FAIL"].iter().any(|word| out.lines().any(|line| line.starts_with(word)))
        });
        if let Some(reason) = out.lines().find_map(|line| line.strip_prefix("SKIP")) {
            return Err(skipped(reason.trim()));
        }
        ensure(spoke, || format!("no READY within {} s", self.patience.as_secs()))?;
        ensure(out.lines().any(|line| line == "READY"), || format!("the program never got ready:\n{}", out.trim_end()))
    }

    /// Tells the program to verify itself, and how it came here.
    pub fn go(&self, job: &Job, journey: &str) -> Verdict {
        let (fresh, final_name) = (job.work.join("go.new"), job.work.join("go"));
        fs::write(&fresh, format!("{journey}\n")).attempt("write the file go")?;
        self.step(format_args!("go {journey}"));
        fs::rename(&fresh, &final_name).attempt("name the file go")
    }

    /// Waits for PASS and a good end, and for everything else to be gone.
    pub fn passes(&self, job: &Job) -> Verdict {
        let end = self.children.wait(job.waited, self.patience).map_err(|stop| job.with_output(stop))?;
        let out = job.output();
        let passed = out.lines().filter(|line| *line == "PASS").count();
        let complained = out.lines().any(|line| line.starts_with("FAIL"));
        if end != End::Code(0) || passed != 1 || complained {
            return Err(job.with_output(failed(format_args!("the program ended with {end} and {passed} PASS"))));
        }
        self.gone()
    }

    /// A job that nobody harmed verifies itself and ends well.
    pub fn runs_on(&self, job: &Job) -> Verdict {
        self.go(job, "continue")?;
        self.passes(job)
    }

    /// Fails if processes are left.
    pub fn gone(&self) -> Verdict {
        let mut left = Vec::new();
        wait_until(self.patience.min(std::time::Duration::from_secs(5)), || {
            self.children.collect();
            left = observe::descendants();
            left.is_empty()
        });
        if left.is_empty() {
            return Ok(());
        }
        let lines: Vec<String> = left.iter().map(|pid| observe::one_line(*pid)).collect();
        Err(failed(format_args!("left behind:\n{}", lines.join("\n"))))
    }

    /// Waits until a restarted job runs: the success hook has left its mark, and nobody is traced any more.
    pub fn find_restarted(&self, tool: Pid, output: &Path, mark: &Path, was: &Job) -> Verdict<Job> {
        let mut lead = None;
        let runs = wait_until(self.patience, || {
            if self.children.end_of(tool).is_some() {
                return true;
            }
            // The hook's shell is a child of cr_restart too, but younger than the job.
            let all = observe::descendants();
            let children = all.iter().copied().filter(|pid| observe::parent(*pid) == Some(tool));
            lead = children.clone().find(|pid| *pid == was.pid).or(children.min());
            mark.exists() && lead.is_some() && all.iter().all(|pid| observe::is_untraced(*pid))
        });
        let job = |pid| Job { pid, waited: tool, work: was.work.clone(), complaints: Some(output.with_extension("stderr")) };
        match (self.children.end_of(tool), lead) {
            // A job may also end before anyone looks.
            (Some(End::Code(0)), _) => Ok(job(was.pid)),
            (Some(end), _) => Err(job(tool).with_output(failed(format_args!("cr_restart ended with {end}")))),
            (None, Some(pid)) if runs => Ok(job(pid)),
            (None, _) => Err(job(tool).with_output(failed("the job did not come back in time"))),
        }
    }
}

impl Job {
    /// What the program printed so far.
    pub fn output(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.work.join("out")).unwrap_or_default()).into_owned()
    }

    /// What cr_restart printed so far.
    pub fn complaints(&self) -> String {
        self.complaints.as_ref().and_then(|path| fs::read_to_string(path).ok()).unwrap_or_default()
    }

    /// The failure with the last words of the program and of cr_restart.
    pub fn with_output(&self, stop: Stop) -> Stop {
        let Stop::Failed(text) = stop else {
            return stop;
        };
        let complaints = self.complaints();
        let out = self.output();
        let tail: Vec<&str> = out.lines().rev().take(12).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        failed(format!("{text}\nout: {}\n{complaints}", tail.join("\n     ")).trim_end())
    }
}
