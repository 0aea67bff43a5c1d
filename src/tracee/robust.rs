//! Robust futex lists of stopped threads (get_robust_list(2)), taken out of the way of a death that the program must not notice.
//!
//! When a thread ends, the kernel walks its list and marks every lock in it as left behind by a dead owner. Locks in shared mappings of files
//! would keep that mark: a checkpoint saves such files by reference. So the heads are made empty, in memory, before a thread of ours dies that
//! lives on in a context file: an image that is not complete, or a job whose image is. One write a thread, and nothing in the kernel changes.
//! Relies on `memory`, which writes whatever the protection of the pages.

use super::{TraceeError, memory};

/// Size in bytes of `struct robust_list_head`: the first lock, the offset of the futex in a lock, the lock that is just being taken.
const HEAD_BYTES: usize = 24;

/// Heads that have been made empty, with what was in them. Dropping it leaves them empty.
#[derive(Debug, Default)]
pub struct Disarmed {
    pid: i32,
    heads: Vec<(u64, [u8; HEAD_BYTES])>,
}

/// Makes the heads at these addresses of a process empty; 0 is no head. On failure all are as they were, as far as that can be had.
pub fn disarm(pid: i32, heads: impl Iterator<Item = u64>) -> Result<Disarmed, TraceeError> {
    let mut disarmed = Disarmed { pid, heads: Vec::new() };
    for head in heads.filter(|head| *head != 0) {
        let mut words = [0; HEAD_BYTES];
        if memory::read(pid, head, &mut words).is_err() {
            // What cannot be read cannot be walked by the kernel either.
            continue;
        }
        disarmed.heads.push((head, words));
        let mut empty = words;
        empty[..8].copy_from_slice(&head.to_le_bytes());
        empty[16..].fill(0);
        if let Err(error) = memory::write(pid, head, &empty) {
            disarmed.rearm()?;
            return Err(error);
        }
    }
    Ok(disarmed)
}

impl Disarmed {
    /// Puts the lists back.
    pub fn rearm(&self) -> Result<(), TraceeError> {
        self.heads.iter().try_for_each(|(head, words)| memory::write(self.pid, *head, words))
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn a_list_is_empty_and_full_again() {
        let pid = std::process::id().cast_signed();
        let list = Box::new([0x1111_u64, 0x2222, 0x3333]);
        let head = &raw const *list as u64;
        let now = || [0, 8, 16].map(|offset| memory::read_word(pid, head + offset).unwrap());
        let disarmed = disarm(pid, [0, head, 8].into_iter()).unwrap();
        assert_eq!(now(), [head, 0x2222, 0]);
        disarmed.rearm().unwrap();
        assert_eq!(now(), [0x1111, 0x2222, 0x3333]);
    }
}
