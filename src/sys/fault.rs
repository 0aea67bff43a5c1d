//! Fault points: places at system calls where a test ends the program. Nothing of it is in a release build.
//!
//! `REPRISE_FAULT=GROUP:K:SIGNAL` in the environment sends the process `SIGNAL` (a number) at its K-th point of `GROUP`. Groups: `tracee`, before every
//! ptrace, wait and memory call; `sys`, after every call of `sys` (they all end in `check`); `all`, both. A new group is a new word at its
//! points. A test goes through K = 1, 2, … until a run ends by itself: then K is past the last point.

/// A point of a group.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub fn point(_group: &str) {}

/// No point counts from now on, in this process.
#[cfg(not(debug_assertions))]
pub fn spare() {}

#[cfg(debug_assertions)]
pub use on::{point, spare};

#[cfg(debug_assertions)]
mod on {
    #![allow(unsafe_code)]

    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    struct Fault {
        group: String,
        at: u32,
        signal: i32,
    }

    static FAULT: OnceLock<Option<Fault>> = OnceLock::new();
    static REACHED: AtomicU32 = AtomicU32::new(0);

    /// A point of a group.
    pub fn point(group: &str) {
        let Some(fault) = FAULT.get_or_init(|| parse(&std::env::var("REPRISE_FAULT").ok()?)) else { return };
        if fault.group != group && fault.group != "all" {
            return;
        }
        if REACHED.fetch_add(1, Ordering::Relaxed) + 1 == fault.at {
            // SAFETY: raise(3) takes a number. It fails for a number that is no signal, and then the run ends by itself.
            unsafe { libc::raise(fault.signal) };
        }
    }

    /// No point counts from now on, in this process.
    pub fn spare() {
        REACHED.store(u32::MAX / 2, Ordering::Relaxed);
    }

    fn parse(text: &str) -> Option<Fault> {
        let mut words = text.split(':');
        Some(Fault { group: words.next()?.to_owned(), at: words.next()?.parse().ok()?, signal: words.next()?.parse().ok()? })
    }

    #[cfg(test)]
    mod test {
        use super::*;

        #[test]
        fn a_fault_has_a_group_a_number_and_a_signal() {
            let fault = parse("tracee:12:9").unwrap();
            assert_eq!((fault.group.as_str(), fault.at, fault.signal), ("tracee", 12, 9));
            assert!(parse("tracee:12").is_none());
        }
    }
}
