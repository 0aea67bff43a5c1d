//! The machine this runs on, as context files remember it.
//!
//! Relies on uname(2), `/proc` and the clocks. Used at checkpoint to write it down and at restart to compare.

use std::time::SystemTime;

use nix::sys::utsname::uname;
use nix::time::{ClockId, clock_gettime};

use crate::image::Origin;

/// This machine, now.
pub fn here() -> Origin {
    let text = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let names = uname().ok();
    let name = |pick: fn(&nix::sys::utsname::UtsName) -> &std::ffi::OsStr| {
        names.as_ref().map(|names| pick(names).to_string_lossy().into_owned()).unwrap_or_default()
    };
    let (xcr0, xstate_bytes) = crate::sys::processor::xstate();
    Origin {
        program: env!("CARGO_PKG_VERSION").into(),
        kernel: name(|names| names.release()),
        host: name(|names| names.nodename()),
        boot_id: text("/proc/sys/kernel/random/boot_id"),
        xcr0,
        xstate_bytes,
        realtime_ns: SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(0, |time| nanoseconds(time.as_nanos())),
        monotonic_ns: clock(ClockId::CLOCK_MONOTONIC),
        boottime_ns: clock(ClockId::CLOCK_BOOTTIME),
    }
}

fn clock(id: ClockId) -> u64 {
    clock_gettime(id).map_or(0, |time| nanoseconds(std::time::Duration::from(time).as_nanos()))
}

fn nanoseconds(value: u128) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}
