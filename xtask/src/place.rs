//! Where the workspace and cargo's target directory are, and how other programs are run.
//!
//! Relies on being started by cargo, from its target directory. Leaves what to run to the tasks.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;

/// The root of the repository.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask lies in the workspace")
}

/// Cargo's target directory, wherever it was put.
pub fn target() -> PathBuf {
    let program = env::current_exe().expect("the path of the running program");
    // TARGET/PROFILE/xtask, or TARGET/PROFILE/deps/xtask-… in a test.
    let profile = program.ancestors().find(|dir| dir.ends_with("debug") || dir.ends_with("release"));
    profile.and_then(Path::parent).expect("xtask runs from cargo's target directory").to_owned()
}

/// `cargo ARGUMENTS` at the root, with the same target directory.
pub fn cargo(arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(arguments).current_dir(workspace()).env("CARGO_TARGET_DIR", target());
    command
}

/// Runs a command to its end; anything but success is an error that names it.
pub fn run(command: &mut Command) -> Outcome {
    let line = spelled(command);
    let status = command.status().map_err(|error| format!("cannot run {line}: {error}"))?;
    if status.success() { Ok(()) } else { Err(format!("{line}: {status}")) }
}

/// Runs a command and returns what it printed.
pub fn output(command: &mut Command) -> Outcome<String> {
    let line = spelled(command);
    let output = command.stderr(Stdio::inherit()).output().map_err(|error| format!("cannot run {line}: {error}"))?;
    if !output.status.success() {
        return Err(format!("{line}: {}", output.status));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// A command as one would type it, without the directories of the program.
pub fn spelled(command: &Command) -> String {
    let program = Path::new(command.get_program()).file_name().unwrap_or_default();
    let words = std::iter::once(program).chain(command.get_args());
    words.map(|word| word.display().to_string()).collect::<Vec<_>>().join(" ")
}
