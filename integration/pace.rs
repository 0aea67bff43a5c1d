//! How long a suite goes on, and its dice: seconds in the usual run, minutes by `cargo xtask chaos` and its sisters.
//!
//! Two words of the environment: REPRISE_SECONDS, what one case may take, and REPRISE_SEED, printed in `steps`, which makes the same choices
//! again. What a case has done is told in the line of the report, so that counts are read there and nowhere else.

use std::cell::Cell;
use std::time::{Duration, Instant, SystemTime};

use crate::case::{Case, Scene};
use crate::site::Site;

/// Seconds of a case in the usual run.
const SHORT: u64 = 4;
/// Rounds that every run makes, however slow the machine is.
const FEWEST: u32 = 3;
/// What a case may take beyond its rounds.
const PATIENCE: u64 = 240;

/// A case whose rounds are counted by time.
pub fn case(name: &str, journey: &str, scene: Scene) -> Case {
    Case::new(name, journey, scene).patient(2 * asked().unwrap_or(SHORT) + PATIENCE)
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn asked() -> Option<u64> {
    number("REPRISE_SECONDS")
}

/// The rounds of one case.
pub struct Pace {
    /// Whether more than the usual run was asked for.
    pub is_long: bool,
    /// Rounds so far.
    pub rounds: Cell<u32>,
    end: Instant,
    dice: Cell<u64>,
}

impl Pace {
    /// Begins now.
    pub fn new(site: &Site) -> Pace {
        let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(1, |time| time.subsec_nanos().into());
        let seed = number("REPRISE_SEED").unwrap_or_else(clock);
        site.step(format_args!("REPRISE_SEED={seed}"));
        let seconds = asked().unwrap_or(SHORT);
        let end = Instant::now() + Duration::from_secs(seconds);
        Pace { is_long: SHORT < seconds, rounds: Cell::new(0), end, dice: Cell::new(seed.wrapping_mul(2).wrapping_add(1)) }
    }

    /// Whether there is another round, which is counted.
    pub fn goes_on(&self) -> bool {
        let goes_on = self.rounds.get() < FEWEST || Instant::now() < self.end;
        self.rounds.set(self.rounds.get() + u32::from(goes_on));
        goes_on
    }

    /// A number below `limit`.
    pub fn below(&self, limit: u32) -> u32 {
        u32::try_from(self.next() % u64::from(limit.max(1))).unwrap_or(0)
    }

    /// A random part of a time.
    pub fn share_of(&self, whole: Duration) -> Duration {
        whole.mul_f64((self.next() >> 11) as f64 / (1u64 << 53) as f64)
    }

    /// splitmix64.
    fn next(&self) -> u64 {
        let state = self.dice.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.dice.set(state);
        let z = (state ^ state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}
