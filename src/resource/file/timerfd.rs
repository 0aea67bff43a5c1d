//! Timers that are read (timerfd_create(2)).
//!
//! **Kept:** clock, time that remains, period, expirations nobody has read, flags. A timer set to a date goes off at that date; if it has
//! passed, at once. Any other timer waits for the time that remained.
//! **Lost:** unread expirations on kernels without CONFIG_CHECKPOINT_RESTORE; a cancellation by a clock that was set (ECANCELED).
//! **Refused:** at restart, alarm clocks without CAP_WAKE_ALARM.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use serde::{Deserialize, Serialize};

use super::open;
use crate::image::{Description, Object, ObjectId, Origin, Tag};
use crate::proc::ProcDir;
use crate::proc::fdinfo::Timerfd as Shown;
use crate::resource::{Build, Built, Capture, FileKind, Identity, KindError, Opened, Probe};
use crate::sys::descriptor;

/// Timers that are read.
pub struct Timerfd;

/// A timer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimerfdV1 {
    /// `CLOCK_*`.
    pub clock: i32,
    /// `TFD_TIMER_*` it was set with.
    pub flags: i32,
    /// Expirations nobody has read.
    pub ticks: u64,
    /// Time to the next expiration: seconds and nanoseconds; (0, 0) when it is not armed.
    pub value: (i64, i64),
    /// Period: seconds and nanoseconds.
    pub interval: (i64, i64),
}

impl FileKind for Timerfd {
    type State = TimerfdV1;
    const TAG: Tag = Tag::new("timerfd", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.link.as_os_str() == "anon_inode:[timerfd]"
    }

    fn identity(&self, _: &Probe<'_>) -> Identity {
        Identity::Description
    }

    fn capture(&self, probes: &[&Probe<'_>], _: &mut Capture) -> Result<TimerfdV1, KindError> {
        let mut shown = probes[0].info.timerfd.unwrap_or_default();
        if shown.value == (0, 0) && shown.interval != (0, 0) && shown.ticks > 0 {
            shown = started_anew(probes[0].copy()?)?;
        }
        let Shown { clock, ticks, settime_flags, value, interval } = shown;
        Ok(TimerfdV1 { clock, flags: settime_flags, ticks, value, interval })
    }

    fn build(&self, state: &TimerfdV1, _: (ObjectId, &Object), cx: &mut Build<'_>) -> Result<Built, KindError> {
        let timer =
            descriptor::timerfd(state.clock).map_err(|errno| KindError::host(format!("make a timerfd of clock {}", state.clock), errno))?;
        let (flags, value) = expiration(state, &cx.snapshot.origin);
        descriptor::set_timerfd(timer.as_fd(), flags, value, state.interval).map_err(|errno| KindError::host("set a timerfd", errno))?;
        // Setting the timer forgets the ticks: so they come second.
        if state.ticks > 0
            && let Err(errno) = descriptor::set_timerfd_ticks(timer.as_fd(), state.ticks)
        {
            cx.warnings.push(format!("{} unread expirations of a timerfd are lost: {}", state.ticks, errno.desc()));
        }
        Ok(Built { descriptors: vec![timer], ..Built::default() })
    }

    fn open(&self, _: &TimerfdV1, built: &Built, _: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        open::duplicate(&built.descriptors[0]).map(Opened::New)
    }
}

/// A periodic timer that has expired is started again only by whoever reads it; until then the kernel does not show when its next period
/// ends. timerfd_gettime(2) starts it too, and counts the periods in between, so that a later read returns what it would have anyway.
fn started_anew(timer: BorrowedFd<'_>) -> Result<Shown, KindError> {
    descriptor::timerfd_left(timer).map_err(|errno| KindError::host("read the time that remains of a timerfd", errno))?;
    let own = ProcDir::open(std::process::id().cast_signed())?;
    Ok(own.fdinfo(timer.as_raw_fd())?.timerfd.unwrap_or_default())
}

/// Flags and time to set it with.
fn expiration(state: &TimerfdV1, origin: &Origin) -> (i32, (i64, i64)) {
    let follows_the_calendar = matches!(state.clock, libc::CLOCK_REALTIME | libc::CLOCK_REALTIME_ALARM);
    if state.value == (0, 0) || !follows_the_calendar || state.flags & libc::TFD_TIMER_ABSTIME == 0 {
        return (0, state.value);
    }
    let date = i128::from(origin.realtime_ns) + i128::from(state.value.0) * 1_000_000_000 + i128::from(state.value.1);
    let part = |number: i128| i64::try_from(number).unwrap_or(i64::MAX);
    (state.flags, (part(date / 1_000_000_000), part(date % 1_000_000_000)))
}

#[cfg(test)]
mod test {
    use std::os::fd::OwnedFd;
    use std::time::Duration;

    use super::super::test::Round;
    use super::*;
    use crate::sys::Errno;

    fn timer(value: (i64, i64), interval: (i64, i64)) -> OwnedFd {
        let timer = descriptor::timerfd(libc::CLOCK_MONOTONIC).unwrap();
        descriptor::set_timerfd(timer.as_fd(), 0, value, interval).unwrap();
        timer
    }

    fn read(timer: &OwnedFd) -> Result<u64, Errno> {
        let mut ticks = [0; 8];
        nix::unistd::read(timer, &mut ticks).map(|_| u64::from_ne_bytes(ticks))
    }

    #[test]
    fn a_running_timer_has_the_rest_of_its_time() {
        let again = Round::of(&Timerfd, &[&timer((3600, 0), (11, 22))]).open(0);
        let left = descriptor::timerfd_left(again.as_fd()).unwrap().0;
        assert!((3500..3600).contains(&left), "{left} s");
        assert_eq!(read(&again), Err(Errno::EAGAIN));
        let again = Round::of(&Timerfd, &[&timer((0, 0), (0, 0))]).open(0);
        assert_eq!(descriptor::timerfd_left(again.as_fd()), Ok((0, 0)));
    }

    #[test]
    fn unread_expirations_are_kept_and_the_period_goes_on() {
        for interval in [(3600, 0), (0, 0)] {
            let expired = timer((0, 1000), interval);
            std::thread::sleep(Duration::from_millis(5));
            let round = Round::of(&Timerfd, &[&expired]);
            assert_eq!(round.warnings, Vec::<String>::new());
            let again = round.open(0);
            assert_eq!(read(&again), Ok(1));
            let left = descriptor::timerfd_left(again.as_fd()).unwrap().0;
            assert!(if interval.0 > 0 { (3500..3600).contains(&left) } else { left == 0 }, "{left} s");
            assert_eq!(read(&expired), Ok(1), "the capture has changed the original");
        }
    }

    #[test]
    fn only_dates_stay_where_they_are() {
        let origin = Origin { realtime_ns: 1_000_000_000_700_000_000, ..Origin::default() };
        let state =
            TimerfdV1 { clock: libc::CLOCK_REALTIME, flags: libc::TFD_TIMER_ABSTIME, ticks: 0, value: (5, 400_000_000), interval: (0, 0) };
        assert_eq!(expiration(&state, &origin), (libc::TFD_TIMER_ABSTIME, (1_000_000_006, 100_000_000)));
        assert_eq!(expiration(&TimerfdV1 { flags: 0, ..state.clone() }, &origin), (0, (5, 400_000_000)));
        assert_eq!(expiration(&TimerfdV1 { clock: libc::CLOCK_MONOTONIC, ..state.clone() }, &origin), (0, (5, 400_000_000)));
        assert_eq!(expiration(&TimerfdV1 { value: (0, 0), ..state }, &origin), (0, (0, 0)));
    }
}
