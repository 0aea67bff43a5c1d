//! `/proc/PID/limits` (proc_pid_limits(5)): the resource limits of a process.
//!
//! Relies on nothing. Readable where prlimit(2) is refused: for a process of another user, without CAP_SYS_RESOURCE.

use super::dir::ProcDir;
use super::error::{Malformed, ProcError};
use super::text::{Words, lines, unsigned};

/// The names of the file in the order of the `RLIMIT_*` numbers (`asm-generic/resource.h`).
const NAMES: [&str; 16] = [
    "Max cpu time",
    "Max file size",
    "Max data size",
    "Max stack size",
    "Max core file size",
    "Max resident set",
    "Max processes",
    "Max open files",
    "Max locked memory",
    "Max address space",
    "Max file locks",
    "Max pending signals",
    "Max msgqueue size",
    "Max nice priority",
    "Max realtime priority",
    "Max realtime timeout",
];

/// A soft and a hard limit, in the unit of getrlimit(2). `u64::MAX` is unlimited (RLIM_INFINITY).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limit {
    /// What is enforced.
    pub soft: u64,
    /// How far the process may raise it.
    pub hard: u64,
}

/// Every limit; position N is `RLIMIT_*` number N.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits(pub [Limit; 16]);

impl Limits {
    /// Parses the file. Limits of newer kernels are passed over; every one of the sixteen must be there.
    pub fn parse(text: &[u8]) -> Result<Limits, Malformed> {
        let mut limits = [None; 16];
        let mut n_lines = 1;
        for (line, text) in lines(text) {
            n_lines = line;
            for (name, limit) in NAMES.iter().zip(&mut limits) {
                if let Some(values) = text.strip_prefix(name.as_bytes()) {
                    *limit = Some(Limit::parse(Words::new(line, values))?);
                }
            }
        }
        let missing = Malformed { line: n_lines, expected: "sixteen limits before the end" };
        let mut all = [Limit { soft: 0, hard: 0 }; 16];
        for (limit, found) in all.iter_mut().zip(limits) {
            *limit = found.ok_or(missing)?;
        }
        Ok(Limits(all))
    }

    /// The limit with this `RLIMIT_*` number.
    pub fn get(&self, resource: u32) -> Option<Limit> {
        self.0.get(usize::try_from(resource).ok()?).copied()
    }
}

impl Limit {
    fn parse(mut words: Words<'_>) -> Result<Limit, Malformed> {
        let mut value = || match words.word("a number or unlimited")? {
            b"unlimited" => Ok(u64::MAX),
            word => unsigned(word, 10).ok_or(words.expected("a number or unlimited")),
        };
        Ok(Limit { soft: value()?, hard: value()? })
    }
}

impl ProcDir {
    /// `/proc/PID/limits`.
    pub fn limits(&self) -> Result<Limits, ProcError> {
        self.parsed("limits", Limits::parse)
    }
}

#[cfg(test)]
mod test {
    use super::super::text::survives_cuts;
    use super::*;

    #[rustfmt::skip]
    const LIMITS: &[u8] = b"Limit                     Soft Limit           Hard Limit           Units     
Max cpu time              unlimited            unlimited            seconds   
Max file size             unlimited            unlimited            bytes     
Max data size             unlimited            unlimited            bytes     
Max stack size            8388608              unlimited            bytes     
Max core file size        0                    unlimited            bytes     
Max resident set          unlimited            unlimited            bytes     
Max processes             96365                96365                processes 
Max open files            1024                 20000                files     
Max locked memory         8388608              8388608              bytes     
Max address space         unlimited            unlimited            bytes     
Max file locks            unlimited            unlimited            locks     
Max pending signals       96365                96365                signals   
Max msgqueue size         819200               819200               bytes     
Max nice priority         0                    0                    
Max realtime priority     0                    0                    
Max realtime timeout      unlimited            unlimited            us        
";

    #[test]
    fn limits_stand_at_their_numbers() {
        let limits = Limits::parse(LIMITS).unwrap();
        for (resource, soft, hard) in [
            (libc::RLIMIT_CPU, u64::MAX, u64::MAX),
            (libc::RLIMIT_STACK, 8_388_608, u64::MAX),
            (libc::RLIMIT_CORE, 0, u64::MAX),
            (libc::RLIMIT_NPROC, 96_365, 96_365),
            (libc::RLIMIT_NOFILE, 1024, 20_000),
            (libc::RLIMIT_MSGQUEUE, 819_200, 819_200),
            (libc::RLIMIT_RTPRIO, 0, 0),
            (libc::RLIMIT_RTTIME, u64::MAX, u64::MAX),
        ] {
            assert_eq!(limits.get(resource), Some(Limit { soft, hard }), "{}", NAMES[resource as usize]);
        }
        assert_eq!(limits.get(16), None);
    }

    #[test]
    fn our_own_limits_are_those_of_getrlimit() {
        let dir = ProcDir::open(std::process::id().cast_signed()).unwrap();
        let (soft, hard) = nix::sys::resource::getrlimit(nix::sys::resource::Resource::RLIMIT_NOFILE).unwrap();
        assert_eq!(dir.limits().unwrap().get(libc::RLIMIT_NOFILE), Some(Limit { soft, hard }));
    }

    #[test]
    fn a_cut_text_is_refused_without_panic() {
        survives_cuts(LIMITS, Limits::parse);
        let expected = "sixteen limits before the end";
        assert_eq!(Limits::parse(&LIMITS[..LIMITS.len() - 80]), Err(Malformed { line: 16, expected }));
    }
}
