//! What can be wrong with a context file, or with writing one.
//!
//! Relies on `crate::error` for the classes. Damage of every sort is `perm`: the same file will never restart.

use std::io;

use crate::error::{Class, Classified};

/// libcr's code for a context file of another machine; exit status 55.
pub const CR_EBADARCH: i32 = 2359;

/// Why a context file could not be written, read or believed.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It does not begin as one, or is empty.
    #[error("not a context file: {reason}")]
    NotAContextFile {
        /// What shows it.
        reason: &'static str,
    },
    /// A format of a later release.
    #[error("the context file has format {found}, this release reads formats up to {known}")]
    Version {
        /// Its format.
        found: u32,
        /// Ours.
        known: u32,
    },
    /// It uses something this release does not have.
    #[error("the context file uses {what}, which this release does not know")]
    Feature {
        /// Which.
        what: String,
    },
    /// Made on another processor, or with another page size.
    #[error("the context file was made on {found}, this machine is {machine}")]
    Architecture {
        /// Its architecture and page size.
        found: String,
        /// Ours.
        machine: String,
    },
    /// It ends too early.
    #[error("the context file ends at byte {at} {what}")]
    Truncated {
        /// Inside or without which part.
        what: &'static str,
        /// Its length in bytes, as far as it is known.
        at: u64,
    },
    /// A checksum, a place or a repetition does not agree.
    #[error("the context file is damaged at byte {at}: {what}")]
    Damaged {
        /// Which part.
        what: &'static str,
        /// Offset in bytes of that part.
        at: u64,
    },
    /// Its parts are intact but cannot all be true.
    #[error("the context file contradicts itself: {what}")]
    Inconsistent {
        /// How.
        what: String,
    },
    /// The description is intact but is not one this release understands.
    #[error("cannot understand the description in the context file")]
    Decode {
        /// Where MessagePack and the model disagree.
        source: rmp_serde::decode::Error,
    },
    /// The description cannot be put into MessagePack: an error of ours.
    #[error("cannot encode the description of the job")]
    Encode {
        /// What MessagePack cannot hold.
        source: rmp_serde::encode::Error,
    },
    /// The writer was used after one of its writes had failed.
    #[error("cannot complete the context file: an earlier write failed")]
    Spoiled,
    /// Nobody took what was written into a pipe, or not fast enough.
    #[error("the time allowed for the checkpoint is over, and the reader of the context file has not taken all of it")]
    TimeOver,
    /// The kernel refused.
    #[error("cannot {attempt}")]
    Io {
        /// What was tried.
        attempt: &'static str,
        /// The reason.
        source: io::Error,
    },
}

impl ImageError {
    /// An [`ImageError::Inconsistent`].
    pub(super) fn inconsistent(what: impl Into<String>) -> ImageError {
        ImageError::Inconsistent { what: what.into() }
    }
}

impl Classified for ImageError {
    fn class(&self) -> Class {
        match self {
            ImageError::TimeOver => Class::Temp,
            ImageError::Io { source, .. } => match source.raw_os_error().unwrap_or(libc::EIO) {
                libc::ENOSPC | libc::EDQUOT | libc::EFBIG | libc::EROFS => Class::Env,
                errno => Class::of_errno(errno),
            },
            ImageError::NotAContextFile { .. }
            | ImageError::Version { .. }
            | ImageError::Feature { .. }
            | ImageError::Architecture { .. }
            | ImageError::Truncated { .. }
            | ImageError::Damaged { .. }
            | ImageError::Inconsistent { .. }
            | ImageError::Decode { .. }
            | ImageError::Encode { .. }
            | ImageError::Spoiled => Class::Perm,
        }
    }

    fn errno(&self) -> Option<i32> {
        Some(match self {
            ImageError::NotAContextFile { .. }
            | ImageError::Version { .. }
            | ImageError::Feature { .. }
            | ImageError::Inconsistent { .. }
            | ImageError::Decode { .. }
            | ImageError::Encode { .. } => libc::EINVAL,
            ImageError::Architecture { .. } => CR_EBADARCH,
            ImageError::Truncated { .. } | ImageError::Damaged { .. } | ImageError::Spoiled => libc::EIO,
            ImageError::TimeOver => libc::ETIME,
            ImageError::Io { source, .. } => source.raw_os_error().unwrap_or(libc::EIO),
        })
    }

    fn remedy(&self) -> Option<String> {
        let advice = match self {
            ImageError::Version { .. } | ImageError::Feature { .. } => "restart it with the release that wrote it, or a newer one",
            ImageError::Architecture { .. } => "restart it on a machine like the one it was made on",
            ImageError::Truncated { .. } | ImageError::Damaged { .. } => {
                "copy it again from where it was written, or restart from an earlier context file"
            }
            ImageError::TimeOver => "the job runs on unchanged; allow more with --time, or see to the reader of the pipe",
            ImageError::Io { source, .. } => match source.raw_os_error()? {
                libc::ENOSPC | libc::EDQUOT => "make room, or write the context file elsewhere",
                libc::EISDIR => "restart a directory that cr_checkpoint --dir made with cr_restart --dir",
                libc::EFBIG => "raise the limit on file size (ulimit -f), or write to another file system",
                libc::EPIPE => "keep the reader of the pipe running until the checkpoint is complete",
                _ => return None,
            },
            ImageError::NotAContextFile { .. }
            | ImageError::Inconsistent { .. }
            | ImageError::Decode { .. }
            | ImageError::Encode { .. }
            | ImageError::Spoiled => return None,
        };
        Some(advice.into())
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn damage_is_permanent_and_keeps_its_number() {
        let io = |errno| ImageError::Io { attempt: "write", source: io::Error::from_raw_os_error(errno) };
        for (error, class, errno) in [
            (ImageError::NotAContextFile { reason: "it is empty" }, Class::Perm, libc::EINVAL),
            (ImageError::Version { found: 2, known: 1 }, Class::Perm, libc::EINVAL),
            (ImageError::Architecture { found: "arm".into(), machine: "x86_64".into() }, Class::Perm, CR_EBADARCH),
            (ImageError::Truncated { what: "inside a block", at: 1 }, Class::Perm, libc::EIO),
            (ImageError::Damaged { what: "a block", at: 1 }, Class::Perm, libc::EIO),
            (ImageError::TimeOver, Class::Temp, libc::ETIME),
            (io(libc::ENOSPC), Class::Env, libc::ENOSPC),
            (io(libc::EISDIR), Class::Env, libc::EISDIR),
            (io(libc::ENOMEM), Class::Temp, libc::ENOMEM),
        ] {
            assert_eq!((error.class(), error.errno()), (class, Some(errno)), "{error}");
        }
    }
}
