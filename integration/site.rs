//! Where a case happens: its directory, the programs it may use, the processes it started.
//!
//! The case's directory holds `work` (the job's working directory), the context files, what every tool printed, and
//! `steps`, the list of what was done. Relies on `runner` for making the directory and for keeping it after a failure.

use std::cell::{Cell, RefCell};
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use crate::children::{Children, End};
use crate::verdict::{Attempt, Verdict, failed, skipped};

/// The user of the journey "unprivileged": nobody, without groups and capabilities.
pub const NOBODY: u32 = 65534;

/// One case's place, and the processes in it.
pub struct Site {
    /// The case's own directory; absolute and free of symbolic links.
    pub dir: PathBuf,
    /// Holds `bin` (the tools) and `programs` (the test programs).
    pub base: PathBuf,
    /// Whether the pids are the case's own, so that original ones can be asked for.
    pub namespaced: bool,
    /// Everything started here.
    pub children: Children,
    /// How long a single step may take.
    pub patience: Duration,
    unprivileged: Cell<bool>,
    commands: Cell<u32>,
    start: Instant,
    steps: RefCell<File>,
}

/// What a tool that has ended left behind.
pub struct Ran {
    /// Its command line.
    pub line: String,
    /// Its exit.
    pub end: End,
    /// What it printed.
    pub stdout: String,
    /// What it complained about.
    pub stderr: String,
}

impl Site {
    /// A place for a case in an existing directory.
    pub fn new(dir: &Path, base: &Path, namespaced: bool, patience: Duration) -> Verdict<Site> {
        let dir = dir.canonicalize().attempt(format_args!("find {}", dir.display()))?;
        let steps = OpenOptions::new().create(true).append(true).open(dir.join("steps")).attempt("open the list of steps")?;
        let site = Site {
            base: base.to_owned(),
            namespaced,
            children: Children::default(),
            patience,
            unprivileged: Cell::new(false),
            commands: Cell::new(0),
            start: Instant::now(),
            steps: RefCell::new(steps),
            dir,
        };
        fs::create_dir(site.work()).attempt("make the working directory")?;
        Ok(site)
    }

    /// The job's working directory.
    pub fn work(&self) -> PathBuf {
        self.dir.join("work")
    }

    /// A context file of this case.
    pub fn context(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }

    /// A test program.
    pub fn program(&self, name: &str) -> PathBuf {
        self.base.join("programs").join(name)
    }

    /// One of the tools under test.
    pub fn tool(&self, name: &str) -> PathBuf {
        self.base.join("bin").join(name)
    }

    /// Notes what is done, for whoever reads the directory of a failed case.
    pub fn step(&self, text: impl std::fmt::Display) {
        let seconds = self.start.elapsed().as_secs_f64();
        // A note that cannot be written must not decide the case.
        let _ = writeln!(self.steps.borrow_mut(), "{seconds:8.3} {text}");
    }

    /// Says in the report what the case has done, beside that it passed.
    pub fn tell(&self, text: impl std::fmt::Display) {
        self.step(format_args!("{text}"));
        // The count is for readers; the verdict does not hang on it.
        let _ = fs::write(self.dir.join("told"), text.to_string());
    }

    /// From here on everything is started as nobody, without capabilities.
    pub fn drop_privileges(&self) -> Verdict {
        if !is_true_root() {
            return Err(skipped("needs root, to become another user"));
        }
        self.unprivileged.set(true);
        self.give_away(&self.dir)?;
        self.give_away(&self.work())
    }

    /// Makes a file of the job's the job's own, whoever that is.
    pub fn give_away(&self, path: &Path) -> Verdict {
        if !self.unprivileged.get() {
            return Ok(());
        }
        let what = format!("give {} to nobody", path.display());
        chown(path, Some(NOBODY), Some(NOBODY)).attempt(what)
    }

    /// A command as a shell with job control would start it: own group, nothing on standard input.
    pub fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = self.plain_command(program);
        command.process_group(0);
        command
    }

    /// A command that leads its own session, as under a batch system.
    pub fn session_leader(&self, program: &Path) -> Command {
        // A group leader cannot make a session: setsid(1) would have to fork, and the pid would be another.
        let mut command = self.plain_command("setsid");
        command.arg(program);
        command
    }

    fn plain_command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.dir).stdin(Stdio::null());
        if self.unprivileged.get() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }

    /// Starts a command whose output goes to numbered files of the case's directory.
    pub fn launch(&self, command: &mut Command) -> Verdict<(Pid, PathBuf)> {
        let number = self.commands.get() + 1;
        self.commands.set(number);
        let name = Path::new(command.get_program()).file_name().unwrap_or_default().display().to_string();
        let base = self.dir.join(format!("{number:02}-{name}"));
        let file = |kind| File::create(base.with_extension(kind)).attempt(format_args!("make {}.{kind}", base.display()));
        command.stdout(file("stdout")?).stderr(file("stderr")?);
        self.step(spelled(command));
        Ok((self.children.start(command)?, base))
    }

    /// Runs a command to its end.
    pub fn run(&self, command: &mut Command) -> Verdict<Ran> {
        let (pid, base) = self.launch(command)?;
        let end = self.children.wait(pid, self.patience)?;
        let text = |kind| String::from_utf8_lossy(&fs::read(base.with_extension(kind)).unwrap_or_default()).into_owned();
        let ran = Ran { line: spelled(command), end, stdout: text("stdout"), stderr: text("stderr") };
        self.step(format_args!("  {end}"));
        Ok(ran)
    }
}

/// Whether this is root, and not only of a user namespace that the sandbox made.
pub fn is_true_root() -> bool {
    // There root is the only user.
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    nix::unistd::geteuid().is_root() && map.split_whitespace().nth(2) != Some("1")
}

impl Ran {
    /// Fails unless the command succeeded.
    pub fn succeeded(self) -> Verdict<Ran> {
        if self.end == End::Code(0) { Ok(self) } else { Err(self.as_failure("failed")) }
    }

    /// A failure that quotes the command and its complaints.
    pub fn as_failure(&self, what: &str) -> crate::verdict::Stop {
        failed(format_args!("{what}: {}: {}\n{}", self.line, self.end, self.stderr.trim_end()))
    }
}

/// A command as one would type it.
pub fn spelled(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ")
}
