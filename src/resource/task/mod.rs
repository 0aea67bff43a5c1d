//! Kinds of per-process and per-thread state, one file each.
//!
//! Stubs inherit the state of the restarter, so a kind saves its state absolutely and always sets it. What several kinds need
//! stands here: kinds do not use each other.

pub mod affinity;
pub mod alternate_stack;
pub mod clear_child_tid;
pub mod credential;
pub mod cwd;
pub mod death_signal;
pub mod dumpable;
pub mod handler;
pub mod interval_timer;
pub mod io_priority;
pub mod limit;
pub mod mdwe;
pub mod membarrier;
pub mod mempolicy;
pub mod name;
pub mod oom_score;
pub mod pending;
pub mod personality;
pub mod posix_timer;
pub mod process_flag;
pub mod robust_list;
pub mod rseq;
pub mod scheduling;
pub mod seccomp;
mod siginfo;
pub mod subreaper;
pub mod syscall_dispatch;
pub mod thread_flag;
pub mod thread_signal;
pub mod timer_slack;
pub mod umask;

use super::Later;
use crate::sys::process;

/// The state of a kind that needs no answer from the task.
fn known<S: 'static>(state: S) -> Later<S> {
    Box::new(move |_| Ok(state))
}

/// Adds a sentence for the user, once.
fn warn(warnings: &mut Vec<String>, text: String) {
    if !warnings.contains(&text) {
        warnings.push(text);
    }
}

/// Whether we have a capability that the kernel honours only in the initial user namespace (user_namespaces(7)).
fn has_host_capability(capability: u32) -> bool {
    let effective = process::own_capabilities().map_or(0, |own| own.effective);
    let is_initial = || {
        let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
        map.split_whitespace().eq(["0", "0", "4294967295"])
    };
    effective >> capability & 1 == 1 && is_initial()
}

/// What tests of kinds need: contexts without a job, and a paused child that can be asked and changed.
#[cfg(test)]
mod bench;
