//! What becomes of a file that the job writes, when its length is not the saved one. Pure.
//!
//! Output comes exactly once: what the job wrote after the checkpoint it will write again, so it is cut off. But not at the cost of others,
//! and nothing is made up: a file never grows.

use crate::image::{Description, ObjectId};

/// How the job writes a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Writers {
    /// All with O_APPEND.
    pub append: bool,
    /// All with O_APPEND, or with their offset at the end or behind it.
    pub at_end: bool,
}

impl Writers {
    /// The descriptions that write an object. Where there is none it is written through a mapping.
    pub fn of(descriptions: &[Description], id: ObjectId, size: u64) -> Writers {
        let writes = |flags: i32| flags & libc::O_PATH == 0 && flags & libc::O_ACCMODE != libc::O_RDONLY;
        let writers = || descriptions.iter().filter(|description| description.object == id && writes(description.flags));
        let appends = |description: &Description| description.flags & libc::O_APPEND != 0;
        let any = writers().next().is_some();
        Writers { append: any && writers().all(appends), at_end: any && writers().all(|one| appends(one) || size <= one.offset) }
    }
}

/// What becomes of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It has its length.
    Stays,
    /// It goes back to its saved length; so many bytes are cut off.
    Cut(u64),
    /// The job goes on at its end, for this reason.
    GoesOn(String),
    /// It lacks what the job wrote, and the job would write behind a gap.
    Short,
}

/// Decides. `saved` and `now` are lengths in bytes; `outsider` is asked only when it matters.
pub fn decide(saved: u64, now: u64, writers: Writers, is_our_output: bool, outsider: impl FnOnce() -> Option<i32>) -> Fate {
    if saved == now {
        return Fate::Stays;
    }
    if is_our_output {
        return Fate::GoesOn("is also the output of cr_restart".into());
    }
    if now < saved {
        let lack = || format!("has {now} bytes, and had {saved} at the checkpoint");
        return if writers.at_end { Fate::GoesOn(lack()) } else { Fate::Short };
    }
    match outsider().filter(|_| writers.append) {
        Some(pid) => Fate::GoesOn(format!("is also appended to by process {pid}, which is not part of the job")),
        None => Fate::Cut(now - saved),
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_file_never_grows_and_is_never_cut_at_the_cost_of_others() {
        let [appending, at_end, inside] = [(true, true), (false, true), (false, false)].map(|(append, at_end)| Writers { append, at_end });
        let goes_on = |text: &str| Fate::GoesOn(text.to_owned());
        let shared = goes_on("is also appended to by process 7, which is not part of the job");
        let lacks = goes_on("has 4 bytes, and had 10 at the checkpoint");
        for (now, writers, is_our_output, outsider, fate) in [
            (10, inside, true, Some(7), Fate::Stays),
            (19, inside, false, None, Fate::Cut(9)),
            (19, appending, false, None, Fate::Cut(9)),
            (19, appending, false, Some(7), shared),
            (19, at_end, false, Some(7), Fate::Cut(9)),
            (19, inside, true, None, goes_on("is also the output of cr_restart")),
            (4, appending, false, None, lacks.clone()),
            (4, at_end, false, None, lacks),
            (4, inside, false, None, Fate::Short),
        ] {
            assert_eq!(decide(10, now, writers, is_our_output, || outsider), fate, "{now} {writers:?} {is_our_output} {outsider:?}");
        }
    }

    #[test]
    fn one_writer_inside_the_file_is_enough() {
        let description = |flags, offset| Description { object: 1, flags, offset, ..Description::default() };
        let append = description(libc::O_WRONLY | libc::O_APPEND, 0);
        for (descriptions, expected) in [
            (vec![], (false, false)),
            (vec![append.clone(), description(libc::O_RDONLY, 3)], (true, true)),
            (vec![append.clone(), description(libc::O_WRONLY, 10)], (false, true)),
            (vec![append, description(libc::O_RDWR, 9)], (false, false)),
        ] {
            let found = Writers::of(&descriptions, 1, 10);
            assert_eq!((found.append, found.at_end), expected);
        }
    }
}
