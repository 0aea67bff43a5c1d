//! The two processes of `cr_checkpoint`: a worker that does everything, and its parent that only waits.
//!
//! The parent may be part of the job: a script that checkpoints itself. It is saved while it waits, and in its next life the
//! worker does not exist; that wait fails with ECHILD, and the right answer to the script is success. The worker never is part of
//! the job: the engine leaves its own process out.

use std::io;

use nix::errno::Errno;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::Pid;

use super::exit;
use crate::sys::cli_support::fork_single_threaded;

/// Runs `work` in a child and returns its exit code, in the parent and in the child. `complain` gets what goes wrong between them.
///
/// Relies on being called before any thread exists.
pub fn supervise(complain: impl FnOnce(&str), work: impl FnOnce() -> u8) -> u8 {
    match fork_single_threaded() {
        Ok(None) => work(),
        Ok(Some(child)) => wait_for(Pid::from_raw(child), complain),
        Err(error) => {
            complain(&format!("fork() failed: {error}"));
            exit::HELPER
        }
    }
}

fn wait_for(child: Pid, complain: impl FnOnce(&str)) -> u8 {
    loop {
        return match waitpid(child, None) {
            Ok(WaitStatus::Exited(_, code)) => u8::try_from(code).unwrap_or(exit::USAGE),
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                complain(&format!("child killed by signal {} ({})", signal as i32, signal.as_str()));
                exit::HELPER
            }
            Ok(_) | Err(Errno::EINTR) => continue,
            // Restarted from the checkpoint that this very call waited for.
            Err(Errno::ECHILD) => 0,
            Err(error) => {
                complain(&format!("wait() failed: {}", io::Error::from(error)));
                exit::HELPER
            }
        };
    }
}

#[cfg(test)]
#[allow(clippy::zombie_processes, reason = "what is tested waits for the child")]
mod test {
    use super::*;
    use std::process::Command;

    fn waited(script: &str) -> (u8, String) {
        let child = Command::new("/bin/sh").args(["-c", script]).spawn().unwrap();
        let mut said = String::new();
        let code = wait_for(Pid::from_raw(i32::try_from(child.id()).unwrap()), |text| said.push_str(text));
        (code, said)
    }

    #[test]
    fn the_parent_returns_what_the_worker_did() {
        assert_eq!(waited("exit 0"), (0, String::new()));
        assert_eq!(waited("exit 52"), (52, String::new()));
        assert_eq!(waited("kill -9 $$"), (1, "child killed by signal 9 (SIGKILL)".into()));
    }

    #[test]
    fn a_parent_that_was_restarted_has_no_worker_and_succeeds() {
        assert_eq!(wait_for(Pid::from_raw(i32::MAX), |text| panic!("{text}")), 0);
    }
}
