//! Fault points: places at system calls where a test ends the program, or lets the call fail. Nothing of it is in a release build.
//!
//! `REPRISE_FAULT=GROUP:K:WHAT` in the environment: at its K-th point of `GROUP` the process gets the signal with the number `WHAT`, or, where that is `e` and
//! a number, the call fails with this error and is not made; points where no call can fail do not count then. Groups: `tracee`, before every ptrace, wait and
//! memory call; `sys`, after every call of `sys` (they all end in `check`), which cannot fail there; `release`, the steps of a commit, and all points from there until the last task of a restarted job
//! has been let go; `all`, every point. A new group is a new word at its points. A test goes through K = 1, 2, … until a run ends by itself: then K is past the
//! last point.

#[cfg(not(debug_assertions))]
use super::Errno;

/// A point of a group, before a call that may fail.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_group: &str) -> Result<(), Errno> {
    Ok(())
}

/// A point of a group where nothing can fail.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn mark(_group: &str) {}

/// While it lives, every point is also one of the group `release`.
#[derive(Debug)]
pub struct Window(());

/// Opens the window of the group `release`.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn window() -> Window {
    Window(())
}

/// No point counts from now on, in this process.
#[cfg(not(debug_assertions))]
pub fn spare() {}

#[cfg(debug_assertions)]
pub use on::{mark, point, spare, window};

#[cfg(debug_assertions)]
mod on {
    #![allow(unsafe_code)]

    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

    use super::Window;
    use crate::sys::Errno;

    #[derive(Debug, PartialEq, Eq)]
    enum What {
        Signal(i32),
        Error(i32),
    }

    struct Fault {
        group: String,
        at: u32,
        what: What,
    }

    static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
    static REACHED: AtomicU32 = AtomicU32::new(0);
    static IN_WINDOW: AtomicBool = AtomicBool::new(false);

    /// A point of a group, before a call that may fail.
    pub fn point(group: &str) -> Result<(), Errno> {
        match due(group, true) {
            Some(What::Error(number)) => Err(Errno::from_raw(*number)),
            Some(What::Signal(_)) | None => Ok(()),
        }
    }

    /// A point of a group where nothing can fail.
    pub fn mark(group: &str) {
        // A signal has come by then.
        let _no_error = due(group, false);
    }

    /// No point counts from now on, in this process.
    pub fn spare() {
        REACHED.store(u32::MAX / 2, Ordering::Relaxed);
    }

    /// Opens the window of the group `release`.
    pub fn window() -> Window {
        IN_WINDOW.store(true, Ordering::Relaxed);
        Window(())
    }

    impl Drop for Window {
        fn drop(&mut self) {
            IN_WINDOW.store(false, Ordering::Relaxed);
        }
    }

    /// What has to happen at this point. A signal has come already. Errors count only points that can fail.
    fn due(group: &str, can_fail: bool) -> Option<&'static What> {
        let fault = FAULT.get_or_init(|| parse(&std::env::var("REPRISE_FAULT").ok()?)).as_ref()?;
        let is_ours = fault.group == group || fault.group == "all" || fault.group == "release" && IN_WINDOW.load(Ordering::Relaxed);
        let counts = is_ours && (can_fail || matches!(fault.what, What::Signal(_)));
        if !counts || REACHED.fetch_add(1, Ordering::Relaxed) + 1 != fault.at {
            return None;
        }
        if let What::Signal(signal) = fault.what {
            // SAFETY: raise(3) takes a number. It fails for a number that is no signal, and then the run ends by itself.
            unsafe { libc::raise(signal) };
        }
        Some(&fault.what)
    }

    fn parse(text: &str) -> Option<Fault> {
        let mut words = text.split(':');
        let (group, at, what) = (words.next()?.to_owned(), words.next()?.parse().ok()?, words.next()?);
        let what = match what.strip_prefix('e') {
            Some(number) => What::Error(number.parse().ok()?),
            None => What::Signal(what.parse().ok()?),
        };
        Some(Fault { group, at, what })
    }

    #[cfg(test)]
    mod test {
        use super::*;

        #[test]
        fn a_fault_has_a_group_a_number_and_a_signal_or_an_error() {
            let fault = parse("tracee:12:9").unwrap();
            assert_eq!((fault.group.as_str(), fault.at, fault.what), ("tracee", 12, What::Signal(9)));
            assert_eq!(parse("release:1:e28").unwrap().what, What::Error(28));
            assert!(parse("tracee:12").is_none());
        }
    }
}
