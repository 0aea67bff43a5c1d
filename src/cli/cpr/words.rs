//! The messages of IRIX CPR: what stands after the name of the statefile (tables 2-2 and 2-3 of its guide).
//!
//! Pure. What has no error number of its own there is a "Checkpoint error"; the lines below the first say what exactly is wrong.

use crate::cli::text::strerror;
use crate::error::Failure;

/// Numbers whose words are not those of Linux.
const WORDS: &[(i32, &str)] = &[
    (libc::EACCES, "Permission denied"),
    (libc::EAGAIN, "Resource temporarily unavailable"),
    (libc::EBUSY, "Resource busy"),
    (libc::EDEADLK, "Resource deadlock avoided"),
    (libc::EEXIST, "File exists"),
    (libc::EINVAL, "Invalid argument"),
    (libc::ELOOP, "Too many symbolic links"),
    (libc::ENAMETOOLONG, "Filename too long"),
    (libc::ENOENT, "No such file or directory"),
    (libc::ENOMEM, "Not enough space"),
    (libc::ENOSPC, "No space left on device"),
    (libc::ENOTDIR, "Not a directory"),
    (libc::EPERM, "Operation not permitted"),
    (libc::EROFS, "Read-only file system"),
    (libc::ESRCH, "No such process"),
];

/// Numbers that say that something of a process cannot be saved or restored.
const UNSUPPORTED: &[i32] = &[libc::ENOSYS, libc::ENOTSUP, libc::ENODEV, libc::ENOTTY, libc::ESTALE, libc::ECANCELED];

/// The words for a failure.
pub fn words(failure: &Failure) -> String {
    let is_own = failure.code > 2000 || UNSUPPORTED.contains(&failure.code);
    let known = WORDS.iter().find(|(number, _)| *number == failure.code);
    match known {
        _ if is_own => "Checkpoint error".into(),
        Some((_, words)) => (*words).into(),
        None => strerror(failure.code),
    }
}

/// The first line: `STATEFILE: words`.
pub fn headline(statefile: &str, failure: &Failure) -> String {
    format!("{statefile}: {}", words(failure))
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::error::{Class, Stage, Subject};

    fn failure(code: i32) -> Failure {
        Failure { class: Class::Perm, stage: Stage::Plan, subject: Subject::default(), code, cause: "reason".into(), remedy: None }
    }

    #[test]
    fn every_message_of_the_tables() {
        for (code, line) in [
            (libc::EACCES, "s: Permission denied"),
            (libc::EBUSY, "s: Resource busy"),
            (2360, "s: Checkpoint error"),
            (libc::ENOSYS, "s: Checkpoint error"),
            (libc::EEXIST, "s: File exists"),
            (libc::EINVAL, "s: Invalid argument"),
            (libc::ELOOP, "s: Too many symbolic links"),
            (libc::ENOENT, "s: No such file or directory"),
            (libc::ENOTDIR, "s: Not a directory"),
            (libc::ENAMETOOLONG, "s: Filename too long"),
            (libc::ENOSPC, "s: No space left on device"),
            (libc::EPERM, "s: Operation not permitted"),
            (libc::EROFS, "s: Read-only file system"),
            (libc::ESRCH, "s: No such process"),
            (libc::EAGAIN, "s: Resource temporarily unavailable"),
            (libc::EDEADLK, "s: Resource deadlock avoided"),
            (libc::ENOMEM, "s: Not enough space"),
            (libc::EIO, "s: Input/output error"),
        ] {
            assert_eq!(headline("s", &failure(code)), line);
        }
    }
}
