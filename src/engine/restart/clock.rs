//! The clocks of the job: CLOCK_MONOTONIC and CLOCK_BOOTTIME never go back (time_namespaces(7)).
//!
//! Where ours are behind what the job has seen (another boot, another machine, a job from a time namespace), the first stub makes a time
//! namespace, is given offsets, and enters it before anybody is born from it. So deadlines that the job remembers stay right, and the
//! restarter stays in its own time. Clocks that are ahead are left alone: for the job, time has passed.

use std::fs;
use std::time::Duration;

use super::PlanError;
use crate::engine::note::Notes;
use crate::engine::origin;
use crate::engine::request::Clock;
use crate::error::Subject;
use crate::image::Origin;
use crate::resource::KindError;
use crate::sys::Errno;
use crate::sys::process::has_capability;
use crate::tracee::{Batch, Scratch, Stopped};

const NEW_TIME: i32 = libc::CLONE_NEWTIME;
const SECOND: i128 = 1_000_000_000;

/// By how many nanoseconds our clocks are behind those of the job.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Behind {
    monotonic_ns: u64,
    boottime_ns: u64,
}

impl Behind {
    fn of(saved: &Origin, here: &Origin) -> Behind {
        Behind {
            monotonic_ns: saved.monotonic_ns.saturating_sub(here.monotonic_ns),
            boottime_ns: saved.boottime_ns.saturating_sub(here.boottime_ns),
        }
    }

    fn most(self) -> Duration {
        // Whole seconds: for people.
        Duration::from_secs(self.monotonic_ns.max(self.boottime_ns) / 1_000_000_000)
    }
}

/// Whether the job needs a time namespace. Refused where it cannot be made, unless the clock may jump back.
pub fn plan(saved: &Origin, rule: Clock, notes: &mut Notes) -> Result<bool, PlanError> {
    const CAP_SYS_ADMIN: u32 = 21;
    const CAP_SYS_TIME: u32 = 25;
    let behind = Behind::of(saved, &origin::here());
    if behind == Behind::default() {
        return Ok(false);
    }
    if rule == Clock::Jump {
        let text = format!("the monotonic clocks go back by {:?}: what waits for a point in time waits that much longer", behind.most());
        notes.lose(Subject::default(), text);
        return Ok(false);
    }
    let why = if fs::metadata("/proc/self/ns/time").is_err() {
        "this kernel has no time namespaces"
    } else if !(has_capability(CAP_SYS_ADMIN) && has_capability(CAP_SYS_TIME)) {
        "a time namespace needs CAP_SYS_ADMIN and CAP_SYS_TIME"
    } else {
        return Ok(true);
    };
    Err(PlanError::Clock { behind: behind.most(), why })
}

/// Takes the first stub into a time namespace whose clocks go on where those of the job were.
pub fn enter(saved: &Origin, stub: &mut Stopped, scratch: &Scratch) -> Result<(), KindError> {
    let mut batch = Batch::new();
    batch.call("make a time namespace", libc::SYS_unshare, [NEW_TIME.into()]);
    scratch.run(stub, &batch)?;

    let path = format!("/proc/{}/timens_offsets", stub.pid);
    let failed = |attempt: &'static str| {
        let path = path.clone();
        move |error: std::io::Error| KindError::path(attempt, path, Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))
    };
    let shown = fs::read_to_string(&path).map_err(failed("read"))?;
    let offsets = offsets(&shown, Behind::of(saved, &origin::here()));
    fs::write(&path, offsets).map_err(failed("set the clocks of the job in"))?;

    let mut batch = Batch::new();
    let link = batch.string(b"/proc/self/ns/time_for_children");
    let (here, flags) = (libc::AT_FDCWD, libc::O_RDONLY | libc::O_CLOEXEC);
    let row = batch.call("open the time namespace", libc::SYS_openat, [here.into(), link.into(), flags.into()]);
    let fd = scratch.run(stub, &batch)?.value(row).map_err(|errno| KindError::host("open the time namespace", errno))?;
    let mut batch = Batch::new();
    batch.call("enter the time namespace", libc::SYS_setns, [fd.into(), NEW_TIME.into()]);
    batch.call("close the time namespace", libc::SYS_close, [fd.into()]);
    scratch.run(stub, &batch)?;
    Ok(())
}

/// What to write into `timens_offsets`: what it shows, which is what the restarter has, and what is missing.
fn offsets(shown: &str, behind: Behind) -> String {
    let line = |name: &str, behind: u64| {
        let mut words = shown.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().split_whitespace();
        let mut number = || words.next().and_then(|word| word.parse::<i128>().ok()).unwrap_or(0);
        let total = number() * SECOND + number() + i128::from(behind);
        format!("{name} {} {}\n", total.div_euclid(SECOND), total.rem_euclid(SECOND))
    };
    line("monotonic", behind.monotonic_ns) + &line("boottime", behind.boottime_ns)
}

#[cfg(test)]
mod test {
    use super::*;

    fn at(monotonic_ns: u64, boottime_ns: u64) -> Origin {
        Origin { monotonic_ns, boottime_ns, ..Origin::default() }
    }

    #[test]
    fn only_a_clock_that_would_go_back_is_moved() {
        assert_eq!(Behind::of(&at(5, 5), &at(7, 5)), Behind::default());
        assert_eq!(Behind::of(&at(9, 4), &at(7, 5)), Behind { monotonic_ns: 2, boottime_ns: 0 });
        assert!(!plan(&at(0, 0), Clock::Keep, &mut Notes::default()).unwrap());
    }

    #[test]
    fn offsets_add_up_and_their_nanoseconds_are_never_negative() {
        let behind = Behind { monotonic_ns: 1_500_000_000, boottime_ns: 700_000_000 };
        let shown = "monotonic           0         0\nboottime           -2 500000000\n";
        assert_eq!(offsets(shown, behind), "monotonic 1 500000000\nboottime -1 200000000\n");
        assert_eq!(offsets("", Behind::default()), "monotonic 0 0\nboottime 0 0\n");
    }

    #[test]
    fn a_clock_that_may_jump_says_so() {
        let mut notes = Notes::default();
        assert!(!plan(&at(u64::MAX, 0), Clock::Jump, &mut notes).unwrap());
        assert!(notes.take()[0].text.starts_with("the monotonic clocks go back by "));
    }
}
