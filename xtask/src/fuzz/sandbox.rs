//! Where changed images are restarted: mounts of its own, in which one directory can be written to, and process ids of its own for every restart.
//!
//! Relies on unshare(1) and mount(8) of util-linux and on the rights of root. Leaves nothing: what runs in a pid namespace ends with its first process.

use std::fs::{self, File};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::waitpid;
use nix::unistd::Pid;

use crate::Outcome;
use crate::place::run;

/// Everything read-only but `$1` and what the kernel provides; then the rest of the arguments is run.
const MOUNTS: &str = r#"
mount --make-rprivate / && mount --bind "$1" "$1" || exit 3
while read -r _ point type _; do
    case "$type $point" in
        proc\ *|sysfs\ *|devtmpfs\ *|devpts\ *|cgroup*|mqueue\ *|*\ /dev|*\ /dev/*|*\ /proc/*|*\ /sys/*|*" $1") ;;
        *) mount -o remount,bind,ro "$point" 2>/dev/null || [ "$point" != / ] || exit 3 ;;
    esac
done < /proc/self/mounts
shift
exec "$@"
"#;

/// Whether we may make mounts and process ids of our own.
pub fn is_possible() -> bool {
    let mut command = Command::new("unshare");
    command.args(["--mount", "--pid", "--fork", "--mount-proc", "true"]).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success())
}

/// Goes on inside with the same arguments.
pub fn enter(directory: &Path, seed: u64, minutes: f64, count: u64) -> Outcome {
    let own = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", MOUNTS, "sh"]).arg(directory).arg(own).arg("fuzz").arg("--inside").arg(directory);
    command.args(["--seed", &seed.to_string(), "--minutes", &minutes.to_string(), "--count", &count.to_string()]);
    run(&mut command)
}

/// A worker as the first process of its own process ids: what it restarts gets the ids that were saved, and whoever is left is its child in the end.
pub fn worker(directory: &Path, options: &[(&str, String)]) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child"]).arg(std::env::current_exe().unwrap_or_default());
    command.arg("fuzz").arg("--inside").arg(directory);
    for (name, value) in options {
        command.arg(name).arg(value);
    }
    command
}

/// Runs a tool on a changed image as the first process of a pid namespace; what it did that no image may make it do. Nobody is left afterwards.
pub fn harm(mut command: Command, file: &Path, patience: Duration) -> Option<String> {
    let errors = file.with_extension("errors");
    let open = || File::create(&errors).map(|file| command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn());
    let mut child = match { open }() {
        Ok(Ok(child)) => child,
        Ok(Err(error)) | Err(error) => return Some(format!("cannot be run: {error}")),
    };
    let begun = Instant::now();
    let mut pause = Duration::from_micros(200);
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < patience => thread::sleep(pause),
            Ok(None) | Err(_) => {
                end_all();
                return Some(format!("hangs ({} s)", patience.as_secs()));
            }
        }
        pause = (pause * 2).min(Duration::from_millis(3));
    };
    let left = if status.success() { Vec::new() } else { others_that_live() };
    end_all();
    let text = fs::read(&errors).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).unwrap_or_default();
    let line = text.lines().find(|line| line.contains("panicked at") || line.contains("memory allocation of"));
    match (status.code(), status.signal()) {
        _ if !left.is_empty() => Some(format!("leaves {}", left.join(", "))),
        (Some(code @ (101 | 134 | 135 | 139)), _) => Some(format!("exits with {code}: {}", line.unwrap_or_default())),
        _ if line.is_some() => Some(format!("panics: {}", line.unwrap_or_default())),
        (None, Some(signal)) => Some(format!("dies of signal {signal}")),
        (Some(_), _) | (None, None) => None,
    }
}

/// Everybody else in this pid namespace who is not dead.
fn others_that_live() -> Vec<String> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let name = |entry: fs::DirEntry| entry.file_name().to_string_lossy().into_owned();
    let pids = entries.map(name).filter(|name| name != "1" && name.bytes().all(|byte| byte.is_ascii_digit()));
    let stat = pids.filter_map(|pid| fs::read_to_string(format!("/proc/{pid}/stat")).ok());
    let lives = |stat: &String| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']));
    stat.filter(lives).map(|stat| stat.chars().take(40).collect()).collect()
}

/// Ends everybody else, and waits until they are gone.
fn end_all() {
    assert_eq!(std::process::id(), 1, "only what is in a pid namespace of its own may be ended");
    // Nobody there is what is wanted.
    let _nobody = kill(Pid::from_raw(-1), Signal::SIGKILL);
    while waitpid(None, None) != Err(Errno::ECHILD) {}
}
