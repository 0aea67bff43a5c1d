//! Virtual memory areas: what smaps shows of one, and the calls that make it again.
//!
//! Kept: addresses, protection, sharing, backing, names, page size, every flag that madvise(2), mlock(2) and mseal(2) set.
//! Lost: which adjacent areas the kernel had not merged.
//! Refused: device memory (io, pf), areas watched by userfaultfd, shadow stacks.

use std::path::{Path, PathBuf};

use super::key;
use crate::image::{Area, Backing};
use crate::proc::{MapEntry, MapName};
use crate::resource::KindError;
use crate::tracee::Batch;

/// What an area maps, before the engine has given the file a number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mapped {
    /// Private anonymous memory.
    Anonymous,
    /// Shared anonymous memory or System V shared memory, by inode: pieces of it may be mapped in several places.
    Shared,
    /// A file with this link text, as `/proc/PID/map_files` shows it.
    File(PathBuf),
    /// A page the kernel provides, by name.
    Special(String),
}

/// The areas of an address space, each with its position among the entries and what it maps; offsets are in the saved [`Area`], object
/// numbers are still 0.
pub fn areas(pid: i32, entries: &[MapEntry]) -> Result<Vec<(usize, Area, Mapped)>, KindError> {
    let shown = entries.iter().enumerate().filter(|(_, entry)| entry.name != MapName::Vsyscall);
    shown.map(|(position, entry)| area(pid, entry).map(|(area, mapped)| (position, area, mapped))).collect()
}

/// Whether an area shows shared memory without a file.
pub fn shows_shared_memory(entry: &MapEntry) -> bool {
    mapped(entry) == Mapped::Shared
}

fn area(pid: i32, entry: &MapEntry) -> Result<(Area, Mapped), KindError> {
    let mapped = mapped(entry);
    refuse_unsupported(pid, entry, &mapped)?;
    let backing = match &mapped {
        Mapped::Anonymous => Backing::Anonymous,
        Mapped::Shared | Mapped::File(_) => Backing::Object { object: 0, offset: entry.offset },
        Mapped::Special(name) => Backing::Special(name.clone()),
    };
    let name = match &entry.name {
        MapName::Anon(name) | MapName::AnonShmem(name) => Some(name.clone()),
        _ => None,
    };
    let perms = entry.perms;
    let bit = |on: bool, value: i32| if on { value } else { 0 };
    let prot = bit(perms.read, libc::PROT_READ) | bit(perms.write, libc::PROT_WRITE) | bit(perms.execute, libc::PROT_EXEC);
    let area = Area {
        start: entry.start,
        end: entry.end,
        prot,
        shared: entry.flags.has("sh") || perms.shared,
        backing,
        flags: entry.flags.codes().map(str::to_owned).collect(),
        page_bytes: entry.page_bytes,
        name,
        guards: Vec::new(),
        key: entry.protection_key,
    };
    Ok((area, mapped))
}

/// Whether an area is a private view of shared memory that has no name (somebody mapped `/proc/PID/map_files`): what it shows that was not
/// written through it is there, too, and comes back as memory of its own.
pub fn is_copy_of_shared(entry: &MapEntry) -> bool {
    matches!(&entry.name, MapName::File { path, deleted: true } if !entry.perms.shared && is_shared_memory(path))
}

fn is_system_v(name: &MapName) -> bool {
    matches!(name, MapName::File { path, .. } if path.as_os_str().to_string_lossy().starts_with("/SYSV"))
}

/// Whether shared memory has this name in `/proc`, which nothing else has: mmap(2) with MAP_SHARED and MAP_ANONYMOUS, shmat(2).
fn is_shared_memory(path: &Path) -> bool {
    let text = path.as_os_str().to_string_lossy();
    text == "/dev/zero" || text.starts_with("/SYSV")
}

fn mapped(entry: &MapEntry) -> Mapped {
    match &entry.name {
        MapName::Vdso => Mapped::Special("[vdso]".into()),
        MapName::Vvar => Mapped::Special("[vvar]".into()),
        MapName::VvarVclock => Mapped::Special("[vvar_vclock]".into()),
        MapName::Special(name) if !name.starts_with("[stack") => Mapped::Special(name.clone()),
        MapName::AnonShmem(_) => Mapped::Shared,
        MapName::File { path, deleted } => {
            let nameless = *deleted && (is_shared_memory(path) || path.as_os_str() == "/anon_hugepage");
            match (nameless, entry.perms.shared) {
                (true, true) => Mapped::Shared,
                (true, false) => Mapped::Anonymous,
                (false, _) => {
                    let mut link = path.clone().into_os_string();
                    if *deleted {
                        link.push(" (deleted)");
                    }
                    Mapped::File(link.into())
                }
            }
        }
        _ => Mapped::Anonymous,
    }
}

fn refuse_unsupported(pid: i32, entry: &MapEntry, mapped: &Mapped) -> Result<(), KindError> {
    let MapEntry { start, end, .. } = entry;
    let refuse = |what: &str, remedy: &str| {
        let what = format!("the memory at {start:#x}-{end:#x} of process {pid}, which is {what},");
        Err(KindError::Unsupported { what, remedy: remedy.into() })
    };
    let has = |flag: &str| entry.flags.has(flag);
    match (mapped, &entry.name) {
        (Mapped::Special(name), _) if !name.starts_with("[v") && name != "[uprobes]" => {
            return refuse(&format!("the unknown special mapping {name}"), "report the kernel version and the program");
        }
        (Mapped::Special(_), _) => return Ok(()),
        (Mapped::Shared, name) if entry.page_bytes > super::pages::PAGE && !is_system_v(name) => {
            return refuse("shared memory of huge pages", "use ordinary pages for shared memory");
        }
        (Mapped::File(path), _) if !path.is_absolute() => {
            return refuse(&format!("a mapping of {}", path.display()), "close it for the checkpoint");
        }
        _ => {}
    }
    if has("io") || has("pf") {
        return refuse("device memory", "close the device for the checkpoint");
    }
    if has("um") || has("uw") || has("ui") {
        return refuse("watched by userfaultfd", "unregister it for the checkpoint");
    }
    if has("ss") {
        return refuse("a shadow stack", "start the program with GLIBC_TUNABLES=glibc.cpu.x86_shstk=off");
    }
    Ok(())
}

/// Where the file behind an area is, for [`map`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    /// Nowhere: anonymous memory.
    Nothing,
    /// Behind this descriptor of the stub.
    Descriptor(i32),
    /// In the shared memory that is parked at this address of the stub.
    Parked(u64),
}

/// Adds the calls that map `area`. Writable until [`protect`], so that its pages can be filled.
pub fn map(area: &Area, from: From, batch: &mut Batch) {
    let is_private = from == From::Nothing || !area.shared;
    let prot = match from {
        From::Nothing | From::Descriptor(_) if is_private && may_be_written(area) => area.prot | libc::PROT_WRITE,
        // The kernel gives memory that may only be executed a protection key, for which it is too early.
        _ if key::executes_only(area) => libc::PROT_READ | libc::PROT_EXEC,
        From::Nothing | From::Descriptor(_) | From::Parked(_) => area.prot,
    };
    let Backing::Object { offset, .. } = area.backing else {
        return map_fresh(area, prot, -1, 0, libc::MAP_ANONYMOUS, batch);
    };
    match from {
        From::Parked(address) => {
            let flags = u64::from((libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED).cast_unsigned());
            let args = [(address + offset).into(), 0u64.into(), area.bytes().into(), flags.into(), area.start.into()];
            batch.call("share anonymous memory", libc::SYS_mremap, args);
            batch.call("protect memory", libc::SYS_mprotect, [area.start.into(), area.bytes().into(), prot.into()]);
        }
        From::Descriptor(fd) => map_fresh(area, prot, fd, offset, 0, batch),
        From::Nothing => map_fresh(area, prot, -1, 0, libc::MAP_ANONYMOUS, batch),
    }
}

/// Whether private memory can be made writable without being charged for more than it was: it was writable once, so that it is charged ("ac"), or
/// it is never charged. What was never writable may be larger than all memory, and has its final protection from the start; the few pages that
/// a debugger wrote there are written in the way of a debugger. Huge pages cannot be.
fn may_be_written(area: &Area) -> bool {
    area.prot & libc::PROT_WRITE != 0 || ["ac", "nr", "ht", "dp"].into_iter().any(|flag| area.has(flag))
}

fn map_fresh(area: &Area, prot: i32, fd: i32, offset: u64, more: i32, batch: &mut Batch) {
    let mut flags = more | libc::MAP_FIXED | if area.shared { libc::MAP_SHARED } else { libc::MAP_PRIVATE };
    if area.has("gd") {
        flags |= libc::MAP_GROWSDOWN;
    }
    if area.has("nr") {
        flags |= libc::MAP_NORESERVE;
    }
    if area.has("ht") && fd == -1 {
        flags |= huge(area.page_bytes);
    }
    const MAP_DROPPABLE: i32 = 0x08;
    if area.has("dp") {
        flags = flags & !libc::MAP_PRIVATE | MAP_DROPPABLE;
    }
    let args = [area.start.into(), area.bytes().into(), prot.into(), flags.into(), fd.into(), offset.into()];
    batch.call("map memory", libc::SYS_mmap, args);
}

/// The flags that ask mmap(2) for huge pages of this size.
pub fn huge(page_bytes: u64) -> i32 {
    let shift = page_bytes.trailing_zeros().cast_signed() << libc::MAP_HUGE_SHIFT;
    libc::MAP_HUGETLB | shift
}

/// Flags of smaps and the advice of madvise(2) that sets them.
const ADVICE: [(&str, i32); 9] = [
    ("sr", libc::MADV_SEQUENTIAL),
    ("rr", libc::MADV_RANDOM),
    ("dc", libc::MADV_DONTFORK),
    ("dd", libc::MADV_DONTDUMP),
    ("wf", libc::MADV_WIPEONFORK),
    ("hg", libc::MADV_HUGEPAGE),
    ("nh", libc::MADV_NOHUGEPAGE),
    ("mg", libc::MADV_MERGEABLE),
    ("dp", -1),
];
const MADV_GUARD_INSTALL: i32 = 102;
const PR_SET_VMA: i32 = 0x5356_4d41;

/// Adds the calls that finish a filled area: name, advice, guards, locks, protection. Sealing comes last of all, see [`seal`].
pub fn protect(area: &Area, writable_now: bool, batch: &mut Batch) {
    let range = [area.start.into(), area.bytes().into()];
    if let Some(name) = &area.name {
        let text = batch.string(name.as_bytes());
        batch.attempt(libc::SYS_prctl, [PR_SET_VMA.into(), 0i32.into(), range[0], range[1], text.into()]);
    }
    for (flag, advice) in ADVICE.into_iter().filter(|(flag, advice)| *advice >= 0 && area.has(flag)) {
        // The kernel sets dd on huge pages and on special mappings by itself, and refuses it there.
        let required = flag != "dd" && flag != "mg";
        let args = [range[0], range[1], advice.into()];
        if required {
            batch.call("advise the kernel about memory", libc::SYS_madvise, args);
        } else {
            batch.attempt(libc::SYS_madvise, args);
        }
    }
    for &(start, end) in &area.guards {
        let args = [start.into(), (end - start).into(), MADV_GUARD_INSTALL.into()];
        batch.call("install guard pages", libc::SYS_madvise, args);
    }
    if area.has("lo") {
        const MLOCK_ONFAULT: i32 = 1;
        let flags = if area.has("lf") { MLOCK_ONFAULT } else { 0 };
        batch.call("lock memory", libc::SYS_mlock2, [range[0], range[1], flags.into()]);
    }
    if writable_now && area.prot & libc::PROT_WRITE == 0 || key::executes_only(area) {
        batch.call("protect memory", libc::SYS_mprotect, [range[0], range[1], area.prot.into()]);
    }
}

/// Adds the call that seals an area again (mseal(2)): nothing can change it afterwards.
pub fn seal(area: &Area, batch: &mut Batch) {
    const SYS_MSEAL: i64 = 462;
    if area.has("sl") {
        batch.call("seal memory", SYS_MSEAL, [area.start.into(), area.bytes().into(), 0i32.into()]);
    }
}

#[cfg(test)]
mod test {
    use super::*;

    fn entry(line: &str, flags: &str) -> MapEntry {
        let text = format!("{line}\nSize: 4 kB\nKernelPageSize: 4 kB\nVmFlags: {flags}\n");
        MapEntry::parse_smaps(text.as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn areas_are_told_apart_by_name_and_sharing() {
        for (line, expected) in [
            ("1000-2000 rw-p 00000000 00:00 0", Mapped::Anonymous),
            ("1000-2000 rw-p 00000000 00:00 0 [heap]", Mapped::Anonymous),
            ("1000-2000 rw-p 00000000 00:00 0 [stack]", Mapped::Anonymous),
            ("1000-2000 rw-s 00000000 00:01 77 /dev/zero (deleted)", Mapped::Shared),
            ("1000-2000 r--p 00000000 08:01 77 /bin/sh", Mapped::File("/bin/sh".into())),
            ("1000-2000 r--p 00000000 08:01 77 /tmp/x (deleted)", Mapped::File("/tmp/x (deleted)".into())),
            ("1000-2000 r-xp 00000000 00:00 0 [vdso]", Mapped::Special("[vdso]".into())),
        ] {
            assert_eq!(areas(1, &[entry(line, "rd")]).unwrap()[0].2, expected, "{line}");
        }
    }

    #[test]
    fn memory_that_was_never_writable_is_not_made_so() {
        let area = |prot, flags: &[&str]| Area { prot, flags: flags.iter().map(|flag| (*flag).into()).collect(), ..Area::default() };
        for (area, is) in [
            (area(0, &[]), false),
            (area(1, &["rd", "mr"]), false),
            (area(5, &["rd", "ex"]), false),
            (area(1, &["rd", "ac"]), true),
            (area(0, &["nr"]), true),
            (area(3, &[]), true),
            (area(1, &["ht"]), true),
        ] {
            assert_eq!(may_be_written(&area), is, "{area:?}");
        }
    }

    #[test]
    fn what_cannot_be_saved_is_refused_by_address() {
        for (flags, word) in [("rd io pf", "device memory"), ("rd um", "userfaultfd"), ("rd ss", "shadow stack")] {
            let error = areas(7, &[entry("1000-2000 rw-p 00000000 00:00 0", flags)]).unwrap_err().to_string();
            assert!(error.contains(word) && error.contains("0x1000-0x2000 of process 7"), "{error}");
        }
    }
}
