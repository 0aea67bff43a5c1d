//! Files in memory (memfd_create(2)).
//!
//! **Kept:** name, contents, length, permissions, seals, offsets and flags of each description.
//! **Lost:** nothing.
//! **Refused:** files of huge pages.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::AsFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use nix::sys::stat::{self, Mode};
use nix::sys::statfs::{HUGETLBFS_MAGIC, fstatfs};
use nix::unistd;
use serde::{Deserialize, Serialize};

use super::open;
use crate::image::{Description, Object, ObjectId, Tag};
use crate::resource::{Bind, Build, Built, Capture, FileKind, KindError, Opened, Probe};
use crate::sys::{Errno, descriptor};
use crate::tracee::Batch;

/// Files in memory.
pub struct Memfd;

/// A file in memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MemfdV1 {
    /// The name it was given, without `/memfd:`.
    #[serde(with = "crate::image::path")]
    pub name: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Type and permissions.
    pub mode: u32,
    /// `F_SEAL_*`.
    pub seals: i32,
}

const F_SEAL_EXEC: i32 = 0x20;
const MFD_NOEXEC_SEAL: u32 = 0x8;
const MFD_EXEC: u32 = 0x10;
/// What has to wait until the job's writable mappings are there again: it forbids new ones.
const LATE: i32 = libc::F_SEAL_FUTURE_WRITE;

impl MemfdV1 {
    /// Seals that go on as soon as the contents are in place, and those that come last of all.
    fn seals_by_time(&self) -> (i32, i32) {
        // F_SEAL_SEAL forbids all further ones.
        let late = if self.seals & LATE != 0 { self.seals & (LATE | libc::F_SEAL_SEAL) } else { 0 };
        (self.seals & !late, late)
    }

    /// Flags of memfd_create(2): without MFD_ALLOW_SEALING a file has F_SEAL_SEAL and nothing else.
    fn flags(&self) -> u32 {
        let sealing = if self.seals == libc::F_SEAL_SEAL { 0 } else { libc::MFD_ALLOW_SEALING };
        let execution = if self.seals & F_SEAL_EXEC != 0 && self.mode & 0o111 == 0 { MFD_NOEXEC_SEAL } else { MFD_EXEC };
        libc::MFD_CLOEXEC | sealing | execution
    }
}

impl FileKind for Memfd {
    type State = MemfdV1;
    const TAG: Tag = Tag::new("memfd", 1);

    fn claims(&self, probe: &Probe<'_>) -> bool {
        probe.file_type() == libc::S_IFREG && probe.is_deleted() && name_in(probe.link).is_some()
    }

    fn capture(&self, probes: &[&Probe<'_>], cx: &mut Capture) -> Result<MemfdV1, KindError> {
        let (link, stat) = (probes[0].link, probes[0].stat);
        let copy = probes[0].copy()?;
        if fstatfs(copy).is_ok_and(|fs| fs.filesystem_type() == HUGETLBFS_MAGIC) {
            let what = format!("the memfd {} of huge pages", link.display());
            return Err(KindError::Unsupported { what, remedy: "let the program use pages of the usual size".into() });
        }
        // fcntl(2) does not answer for O_PATH descriptors.
        let readable = open::reopen_to_read(copy).map_err(|errno| KindError::path("open for its contents", link, errno))?;
        let seals = descriptor::seals(readable.as_fd()).map_err(|errno| KindError::path("read the seals of", link, errno))?;
        let size = u64::try_from(stat.size).unwrap_or(0);
        cx.keep_contents(readable, size);
        Ok(MemfdV1 { name: name_in(link).unwrap_or_default(), size, mode: stat.mode, seals })
    }

    fn build(&self, state: &MemfdV1, _: (ObjectId, &Object), _: &mut Build<'_>) -> Result<Built, KindError> {
        let name = CString::new(state.name.as_os_str().as_bytes()).unwrap_or_default();
        let attempt = |errno| KindError::path("make the memfd", &state.name, errno);
        let flags = state.flags();
        let file = match descriptor::memfd(&name, flags) {
            // MFD_EXEC and MFD_NOEXEC_SEAL came with Linux 6.3.
            Err(Errno::EINVAL) => descriptor::memfd(&name, flags & !(MFD_EXEC | MFD_NOEXEC_SEAL)),
            result => result,
        };
        let file = file.map_err(attempt)?;
        unistd::ftruncate(&file, i64::try_from(state.size).unwrap_or(i64::MAX)).map_err(attempt)?;
        Ok(Built { descriptors: vec![file], contents: Some(0), ..Built::default() })
    }

    fn open(&self, state: &MemfdV1, built: &Built, description: &Description, _: &mut Build<'_>) -> Result<Opened, KindError> {
        let opened = open::reopen(built.descriptors[0].as_fd(), description.flags);
        opened.map(Opened::New).map_err(|errno| KindError::path("open the memfd", &state.name, errno))
    }

    fn seeks(&self) -> bool {
        true
    }

    fn settle(&self, state: &MemfdV1, built: &Built, _: (ObjectId, &Object), _: &mut Build<'_>) -> Result<(), KindError> {
        let file = &built.descriptors[0];
        let mode = Mode::from_bits_truncate(state.mode & 0o7777);
        stat::fchmod(file, mode).map_err(|errno| KindError::path("set the permissions of the memfd", &state.name, errno))?;
        add_seals(file.as_fd(), state.seals_by_time().0).map_err(|errno| KindError::path("seal the memfd", &state.name, errno))
    }

    fn bind(&self, state: &MemfdV1, fd: i32, _: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let late = state.seals_by_time().1;
        if late != 0 {
            // A read-only descriptor cannot add seals, and the second of several finds them there: both may fail.
            batch.attempt(libc::SYS_fcntl, [fd.into(), libc::F_ADD_SEALS.into(), (late & !libc::F_SEAL_SEAL).into()]);
            if late & libc::F_SEAL_SEAL != 0 {
                batch.attempt(libc::SYS_fcntl, [fd.into(), libc::F_ADD_SEALS.into(), libc::F_SEAL_SEAL.into()]);
            }
        }
        Ok(())
    }
}

fn add_seals(file: std::os::fd::BorrowedFd<'_>, seals: i32) -> Result<(), Errno> {
    let missing = seals & !descriptor::seals(file)?;
    if missing == 0 { Ok(()) } else { descriptor::add_seals(file, missing) }
}

/// The name in a link of the form `/memfd:NAME (deleted)`.
fn name_in(link: &Path) -> Option<PathBuf> {
    let name = link.as_os_str().as_bytes().strip_prefix(b"/memfd:")?;
    let name: &OsStr = OsStr::from_bytes(name.strip_suffix(b" (deleted)").unwrap_or(name));
    Some(PathBuf::from(OsString::from_vec(name.as_bytes().to_vec())))
}

#[cfg(test)]
mod test {
    use std::fs::File;
    use std::os::unix::fs::FileExt;

    use super::super::test::{Round, probe_of};
    use super::*;

    #[test]
    fn contents_name_and_opens_come_back() {
        let file = descriptor::memfd(c"some name", libc::MFD_CLOEXEC).unwrap();
        unistd::ftruncate(&file, 50_010).unwrap();
        File::from(file.try_clone().unwrap()).write_all_at(b"contents", 40_000).unwrap();
        unistd::lseek(&file, 321, unistd::Whence::SeekSet).unwrap();
        let reader = open::reopen(file.as_fd(), libc::O_RDONLY).unwrap();
        let round = Round::of(&Memfd, &[&file, &reader]);
        let (file, reader) = (round.open(0), File::from(round.open(1)));
        drop(round);
        assert_eq!(unistd::lseek(&file, 0, unistd::Whence::SeekCur), Ok(321));
        let mut text = [0; 8];
        reader.read_exact_at(&mut text, 40_000).unwrap();
        assert_eq!(&text, b"contents");
        assert_eq!(reader.metadata().unwrap().len(), 50_010);
        assert_eq!(probe_of(&file, |probe| probe.link.to_owned()), Path::new("/memfd:some name (deleted)"));
    }

    #[test]
    fn seals_are_those_it_had_except_what_must_wait() {
        const ALL: i32 = libc::F_SEAL_SHRINK | libc::F_SEAL_GROW | libc::F_SEAL_WRITE;
        for (sealing, seals, early) in [
            (libc::MFD_ALLOW_SEALING, 0, 0),
            (libc::MFD_ALLOW_SEALING, ALL, ALL),
            (libc::MFD_ALLOW_SEALING, ALL | libc::F_SEAL_SEAL, ALL | libc::F_SEAL_SEAL),
            (libc::MFD_ALLOW_SEALING, LATE | libc::F_SEAL_SEAL | libc::F_SEAL_GROW, libc::F_SEAL_GROW),
            (0, 0, libc::F_SEAL_SEAL),
        ] {
            let file = descriptor::memfd(c"", libc::MFD_CLOEXEC | sealing).unwrap();
            unistd::write(&file, b"x").unwrap();
            if seals != 0 {
                descriptor::add_seals(file.as_fd(), seals).unwrap();
            }
            let round = Round::of(&Memfd, &[&file]);
            assert_eq!(round.state.seals, descriptor::seals(file.as_fd()).unwrap());
            assert_eq!(descriptor::seals(round.open(0).as_fd()).unwrap(), early, "seals {seals:#x}");
        }
    }
}
