//! Every ready-made hook script on a real job, called as the example at its top says.
//!
//! The example itself is run by a shell: only the names in it (`4711`, `/data/**` …) are replaced by those of the scene's job. So an example that does
//! not work fails its scene. Programs that an example would call on a cluster, such as `scontrol`, are small fakes that note how they were called. Relies
//! on `hooks/` of the repository. Leaves a script's other arguments and wrong ones to its tests in `hooks/test`.

mod checkpoint;
mod effect;
mod restart;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};

use crate::case::Case;
use crate::children::{End, wait_until};
use crate::job::Job;
use crate::observe;
use crate::prepare::workspace;
use crate::site::{Ran, Site};
use crate::verdict::{Attempt, Verdict, ensure, failed};

/// The process id in every example.
const EXAMPLE_PID: &str = "4711";
/// Time limits of hooks are the library's business: no scene depends on how busy the machine is.
const NO_HURRY: &str = "--hook-frozen-timeout 60";

type Scene = fn(&Ready<'_>) -> Verdict;

/// The scripts, each with its scene.
const SCENES: &[(&str, Scene)] = &[
    ("audit_trail", effect::audit_trail),
    ("close_sockets", checkpoint::close_sockets),
    ("keep_last_n", effect::keep_last_n),
    ("keep_logs_growing", restart::keep_logs_growing),
    ("namespace_when_taken", restart::namespace_when_taken),
    ("new_pid_when_taken", restart::new_pid_when_taken),
    ("notify_batch_system", effect::notify_batch_system),
    ("page_the_admin", effect::page_the_admin),
    ("refuse_changed_inputs", restart::refuse_changed_inputs),
    ("refuse_large_jobs", checkpoint::refuse_large_jobs),
    ("relocate_scratch", restart::relocate_scratch),
    ("retry_with_backoff", restart::retry_with_backoff),
    ("roll_back_outputs", checkpoint::roll_back_outputs),
    ("save_inputs", checkpoint::save_inputs),
    ("skip_caches", checkpoint::skip_caches),
    ("snapshot_file_system", effect::snapshot_file_system),
    ("wait_for_pid", restart::wait_for_pid),
];

/// One scene a script, and one that counts them.
pub fn cases() -> Vec<Case> {
    let scene = |(script, scene): &(&'static str, Scene)| {
        let (script, scene) = (*script, *scene);
        Case::new("ready-made", script, move |site| scene(&Ready::new(site, script)?))
    };
    let mut cases: Vec<Case> = SCENES.iter().map(scene).collect();
    cases.push(Case::new("ready-made", "every-script", every_script_has_a_scene));
    cases
}

fn every_script_has_a_scene(_: &Site) -> Verdict {
    let entries = fs::read_dir(workspace().join("hooks")).attempt("list the ready-made scripts")?;
    let paths = entries.flatten().map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|extension| extension == "lua"));
    let scripts: BTreeSet<String> = paths.map(|path| path.file_stem().unwrap_or_default().display().to_string()).collect();
    let scenes: BTreeSet<String> = SCENES.iter().map(|(script, _)| (*script).to_owned()).collect();
    ensure(scripts == scenes, || {
        let (without, stale): (Vec<_>, Vec<_>) = (scripts.difference(&scenes).collect(), scenes.difference(&scripts).collect());
        format!("scripts without a scene: {without:?}; scenes without a script: {stale:?}")
    })
}

/// A ready-made script beside a job.
struct Ready<'a> {
    site: &'a Site,
    /// The command lines of its header.
    examples: Vec<String>,
}

/// A command line of a header with the names of a real job in it.
#[derive(Clone)]
struct Example {
    line: String,
    environment: Vec<(String, String)>,
}

impl<'a> Ready<'a> {
    /// Takes the script into the directory of the tools, where the example finds it.
    fn new(site: &'a Site, script: &str) -> Verdict<Ready<'a>> {
        let name = format!("{script}.lua");
        let text = fs::read_to_string(workspace().join("hooks").join(&name)).attempt(format_args!("read {name}"))?;
        fs::write(site.context(&name), &text).attempt(format_args!("copy {name}"))?;
        fs::create_dir(site.context("fakes")).attempt("make the directory of fake programs")?;
        let header = text.lines().skip_while(|line| *line != "-- Example:").skip(1);
        let examples: Vec<String> = header.map_while(|line| line.strip_prefix("--   ")).map(str::to_owned).collect();
        ensure(!examples.is_empty(), || format!("{name} has no example at its top"))?;
        Ok(Ready { site, examples })
    }

    /// The example that calls this program, about this job, with further names replaced.
    fn example(&self, program: &str, job: &Job, names: &[(&str, &str)]) -> Verdict<Example> {
        let calls = |line: &&String| line.split_whitespace().any(|word| word == program);
        let found = self.examples.iter().find(calls).ok_or_else(|| failed(format_args!("no example calls {program}")))?;
        let pid = job.pid.to_string();
        let mut line = found.clone();
        for (from, to) in [(EXAMPLE_PID, pid.as_str())].iter().chain(names) {
            ensure(line.contains(from), || format!("the example has no {from}: {found}"))?;
            line = line.replace(from, to);
        }
        let line = line.replacen(program, &format!("{program} {NO_HURRY}"), 1);
        Ok(Example { line, environment: Vec::new() })
    }

    /// The context file of the examples, and the default name of `cr_checkpoint`.
    fn context(&self, job: &Job) -> PathBuf {
        self.site.context(&format!("context.{}", job.pid))
    }

    /// Puts a program in the place of one that is found through PATH: a shell script.
    fn fake(&self, program: &str, text: &str) -> Verdict {
        let path = self.site.context("fakes").join(program);
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).attempt(format_args!("write a fake {program}"))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).attempt(format_args!("make the fake {program} executable"))
    }

    fn command(&self, example: &Example) -> Command {
        let path = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{}:{path}", self.site.context("fakes").display(), self.site.base.join("bin").display());
        let mut command = self.site.command("sh");
        command.args(["-c", &example.line]).env("PATH", path).envs(example.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs an example to its end.
    fn run(&self, example: &Example) -> Verdict<Ran> {
        self.site.run(&mut self.command(example))
    }

    /// Runs an example of a checkpoint with `--kill`, and waits for the job's end.
    fn checkpoint_and_kill(&self, example: &Example, job: &Job) -> Verdict<Ran> {
        let ran = self.run(&example.clone().with("cr_checkpoint", "--kill"))?.succeeded()?;
        self.site.verify(&self.context(job))?;
        let end = self.site.children.wait(job.waited, self.site.patience)?;
        ensure(end == End::Signal(9), || format!("the killed job ended with {end}"))?;
        self.site.gone()?;
        Ok(ran)
    }

    /// A checkpoint without any script, and the job's end.
    fn save(&self, job: &Job) -> Verdict {
        self.site.checkpoint_and_kill(&[], &self.context(job), job)
    }

    /// Starts an example of a restart, and leaves it running.
    fn launch(&self, example: &Example) -> Verdict<Restarting> {
        let mark = self.site.context("restarted");
        let before = observe::descendants();
        let example = example.clone().with("cr_restart", &format!("--run-on-success ': >{}'", mark.display()));
        let (tool, output) = self.site.launch(&mut self.command(&example))?;
        Ok(Restarting { tool, complaints: output.with_extension("stderr"), mark, before })
    }

    /// Waits until the job of this program runs again.
    fn runs_again(&self, restarting: Restarting, program: &str, was: &Job) -> Verdict<Job> {
        let Restarting { tool, complaints, mark, before } = restarting;
        let mut found = None;
        let runs = wait_until(self.site.patience, || {
            let all = observe::descendants();
            let is_it =
                |pid: &&nix::unistd::Pid| !before.contains(pid) && observe::image(**pid).is_some_and(|image| image.ends_with(program));
            found = all.iter().find(is_it).copied();
            let is_up = mark.exists() && found.is_some() && all.iter().all(|pid| observe::is_untraced(*pid));
            is_up || self.site.children.end_of(tool).is_some()
        });
        let job = Job { pid: found.unwrap_or(tool), waited: tool, work: was.work.clone(), complaints: Some(complaints) };
        match self.site.children.end_of(tool) {
            Some(end) => Err(job.with_output(failed(format_args!("the restart ended with {end}")))),
            None if runs => Ok(job),
            None => Err(job.with_output(failed("the job did not come back in time"))),
        }
    }

    /// Both: an example of a restart that must succeed.
    fn restart(&self, example: &Example, program: &str, was: &Job) -> Verdict<Job> {
        let restarting = self.launch(example)?;
        self.runs_again(restarting, program, was)
    }
}

/// A restart under way.
struct Restarting {
    tool: nix::unistd::Pid,
    complaints: PathBuf,
    mark: PathBuf,
    before: Vec<nix::unistd::Pid>,
}

impl Restarting {
    /// What it said so far.
    fn said(&self) -> String {
        fs::read_to_string(&self.complaints).unwrap_or_default()
    }
}

impl Example {
    /// With more options of one of its programs.
    fn with(mut self, program: &str, options: &str) -> Example {
        self.line = self.line.replacen(program, &format!("{program} {options}"), 1);
        self
    }

    /// The same options at the restart of this job.
    fn at_restart(&self, job: &Job) -> Example {
        let line = self.line.strip_suffix(&job.pid.to_string()).unwrap_or(&self.line).replacen("cr_checkpoint", "cr_restart", 1);
        Example { line: format!("{line}context.{}", job.pid), environment: self.environment.clone() }
    }

    /// With a variable in the environment.
    fn variable(mut self, name: &str, value: impl AsRef<Path>) -> Example {
        self.environment.push((name.to_owned(), value.as_ref().display().to_string()));
        self
    }
}

/// Kills a job that is in the way, and collects it.
fn end(site: &Site, job: &Job) -> Verdict {
    kill(job.pid, Signal::SIGKILL).attempt("kill the job")?;
    site.children.wait(job.waited, site.patience).map(drop)
}
