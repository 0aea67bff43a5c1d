//! Where changed images are restarted: mounts of its own, in which one directory can be written to, and process ids of its own for every restart.
//!
//! Relies on unshare(1) and mount(8) of util-linux and on the rights of root. Leaves nothing: what runs in a pid namespace ends with its first process.

use std::io::Read;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

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

/// The first process of a pid namespace: restarts, and looks for what a restart that failed has left. 250: something is left.
const RESTART: &str = r#"
"$1" --detach -f "$2"; end=$?
[ $end = 0 ] && exit 0
for process in /proc/[0-9]*; do
    [ "$process" = /proc/1 ] && continue
    while read -r key value _; do
        [ "$key" = State: ] && [ "$value" != Z ] && [ "$value" != X ] && exit 250
    done 2>/dev/null <"$process/status"
done
exit $end
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

/// The restart of `file` with process ids of its own.
pub fn restart(tool: &Path, file: &Path) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--pid", "--fork", "--mount-proc", "--kill-child", "sh", "-c", RESTART, "sh"]).arg(tool).arg(file);
    command
}

/// Runs a tool on a changed image; what it did that no image may make it do.
pub fn harm(mut command: Command, patience: Duration) -> Option<String> {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return Some(format!("cannot be run: {error}")),
    };
    let mut errors = child.stderr.take()?;
    let reader = thread::spawn(move || {
        let mut text = Vec::new();
        // What is read so far counts; an error ends it as the end of the file does.
        let _ = errors.by_ref().take(1 << 20).read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let begun = Instant::now();
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if begun.elapsed() < patience => thread::sleep(Duration::from_millis(3)),
            Ok(None) | Err(_) => {
                let _ = child.kill();
                let _ = child.wait();
                return Some(format!("hangs ({} s)", patience.as_secs()));
            }
        }
    };
    let text = reader.join().unwrap_or_default();
    let panics = text.contains("panicked at") || text.contains("memory allocation of");
    let line = text.lines().find(|line| line.contains("panicked at") || line.contains("memory allocation")).unwrap_or_default();
    match (status.code(), status.signal()) {
        (Some(250), _) => Some("leaves processes".into()),
        (Some(code @ (101 | 134 | 135 | 139)), _) => Some(format!("exits with {code}: {line}")),
        _ if panics => Some(format!("panics: {line}")),
        (None, Some(signal)) => Some(format!("dies of signal {signal}")),
        (Some(_), _) | (None, None) => None,
    }
}
