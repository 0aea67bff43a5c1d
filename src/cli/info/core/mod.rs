//! `cr_info --core PID FILE`: an ELF core file of a saved process, to be looked into with a debugger without running anything.
//!
//! Relies on [`Saved`] for verified pages and on the crate `object` for the structures of ELF. The file is as large as the memory in it, with holes
//! where that is zero; it can be read by its owner only.

mod note;
mod segment;

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use object::elf::{self, FileHeader64, ProgramHeader64, SectionHeader64};
use object::endian::{LittleEndian as LE, U16, U32, U64};
use object::pod::bytes_of;

use crate::engine::saved::{Contents, Saved};
use crate::error::{At, Class, Classified, Failure, Stage, Subject};
use crate::image::{PAGE_BYTES, Space};
use segment::{Origin, Segment};

const PAGE: u64 = PAGE_BYTES as u64;

/// Why there is no core file.
#[derive(Debug, thiserror::Error)]
pub enum CoreError {
    /// The context file has no such process.
    #[error("process {pid} is not in the context file, which has {has}")]
    NoProcess {
        /// What was asked for.
        pid: i32,
        /// The processes it has.
        has: String,
    },
    /// It had ended when it was saved.
    #[error("process {pid} has no memory: it had ended")]
    Ended {
        /// What was asked for.
        pid: i32,
    },
    /// The file cannot be made or written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The core file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl Classified for CoreError {
    fn class(&self) -> Class {
        match self {
            CoreError::NoProcess { .. } | CoreError::Ended { .. } => Class::Args,
            CoreError::Write { .. } => Class::Env,
        }
    }

    fn errno(&self) -> Option<i32> {
        match self {
            CoreError::NoProcess { .. } | CoreError::Ended { .. } => Some(libc::ESRCH),
            CoreError::Write { source, .. } => source.raw_os_error(),
        }
    }

    fn subject(&self) -> Subject {
        match self {
            CoreError::NoProcess { .. } | CoreError::Ended { .. } => Subject::default(),
            CoreError::Write { path, .. } => Subject::path(path),
        }
    }

    fn remedy(&self) -> Option<String> {
        match self {
            CoreError::NoProcess { .. } | CoreError::Ended { .. } => Some("give --core the id of another process".into()),
            CoreError::Write { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                Some("choose another name with --to, or remove it".into())
            }
            CoreError::Write { .. } => Some("choose another place with --to".into()),
        }
    }
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Written {
    /// The process.
    pub pid: i32,
    /// The core file.
    pub path: PathBuf,
    /// Its threads.
    pub threads: usize,
    /// Length of the file, holes included.
    pub bytes: u64,
}

/// Writes the core file of process `pid`. A file that is there already is left alone; one that cannot be completed is removed.
pub fn write(context: &OsStr, pid: i32, to: &Path) -> Result<Written, Failure> {
    let saved = Saved::open(Path::new(context))?;
    let snapshot = saved.snapshot();
    let missing = || {
        let has: Vec<String> = snapshot.processes.iter().map(|process| process.pid.to_string()).collect();
        CoreError::NoProcess { pid, has: has.join(", ") }
    };
    let process = snapshot.processes.iter().find(|process| process.pid == pid).ok_or_else(missing).at(Stage::Load)?;
    let memory = process.memory.ok_or(CoreError::Ended { pid }).at(Stage::Load)?;
    let mut contents = saved.contents(Space::Memory(memory))?;
    let segments = segment::all(snapshot, &snapshot.memories[memory as usize], &contents.runs());
    let notes = note::all(snapshot, process, &snapshot.memories[memory as usize]);
    let layout = Layout::new(segments, notes.len() as u64);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let file = file.map_err(|source| CoreError::Write { path: to.to_owned(), source }).at(Stage::Write)?;
    let mut core = Core { file, path: to, is_complete: false };
    core.put(0, &layout.headers())?;
    core.put(layout.notes_at, &notes)?;
    core.fill(&saved, &layout, &mut contents)?;
    core.finish(layout.bytes)?;
    let threads = process.threads.iter().filter(|thread| !thread.dead).count();
    Ok(Written { pid, path: to.to_owned(), threads, bytes: layout.bytes })
}

/// Where everything stands in the file; offsets and sizes in bytes.
struct Layout {
    notes_at: u64,
    note_bytes: u64,
    /// Segments and where their bytes are.
    segments: Vec<(Segment, u64)>,
    bytes: u64,
}

impl Layout {
    fn new(segments: Vec<Segment>, note_bytes: u64) -> Layout {
        let headers = size_of::<ProgramHeader64<LE>>() * (segments.len() + 1);
        let notes_at = (size_of::<FileHeader64<LE>>() + size_of::<SectionHeader64<LE>>() + headers) as u64;
        let mut at = (notes_at + note_bytes).next_multiple_of(PAGE);
        let mut placed = Vec::with_capacity(segments.len());
        for segment in segments {
            placed.push((segment, at));
            at += segment.file_bytes();
        }
        Layout { notes_at, note_bytes, segments: placed, bytes: at }
    }

    /// File header, one section header for the number of segments when it does not fit the file header (elf(5), PN_XNUM), program headers.
    fn headers(&self) -> Vec<u8> {
        let count = u32::try_from(self.segments.len() + 1).unwrap_or(u32::MAX);
        let mut bytes = bytes_of(&file_header(count)).to_vec();
        bytes.resize(bytes.len() + size_of::<SectionHeader64<LE>>(), 0);
        // sh_info of the first section: the number of segments.
        let info = size_of::<FileHeader64<LE>>() + 44;
        bytes[info..info + 4].copy_from_slice(&count.to_le_bytes());
        bytes.extend_from_slice(bytes_of(&program_header(elf::PT_NOTE, 0, self.notes_at, (0, 0), self.note_bytes)));
        for (segment, at) in &self.segments {
            let range = (segment.start, segment.end);
            bytes.extend_from_slice(bytes_of(&program_header(elf::PT_LOAD, segment.prot, *at, range, segment.file_bytes())));
        }
        bytes
    }
}

/// The file header of a core file with `count` program headers.
fn file_header(count: u32) -> FileHeader64<LE> {
    let short = u16::try_from(count).ok().filter(|count| *count < elf::PN_XNUM);
    let size = |bytes: usize| U16::new(LE, u16::try_from(bytes).expect("a small structure"));
    let header = size_of::<FileHeader64<LE>>() as u64;
    FileHeader64 {
        e_ident: elf::Ident {
            magic: elf::ELFMAG,
            class: elf::ELFCLASS64,
            data: elf::ELFDATA2LSB,
            version: elf::EV_CURRENT,
            os_abi: elf::ELFOSABI_NONE,
            abi_version: 0,
            padding: [0; 7],
        },
        e_type: U16::new(LE, elf::ET_CORE),
        e_machine: U16::new(LE, elf::EM_X86_64),
        e_version: U32::new(LE, elf::EV_CURRENT.0.into()),
        e_entry: U64::new(LE, 0),
        e_phoff: U64::new(LE, header + size_of::<SectionHeader64<LE>>() as u64),
        e_shoff: U64::new(LE, if short.is_none() { header } else { 0 }),
        e_flags: U32::new(LE, elf::FileFlags(0)),
        e_ehsize: size(size_of::<FileHeader64<LE>>()),
        e_phentsize: size(size_of::<ProgramHeader64<LE>>()),
        e_phnum: U16::new(LE, short.unwrap_or(elf::PN_XNUM)),
        e_shentsize: size(size_of::<SectionHeader64<LE>>()),
        e_shnum: U16::new(LE, u16::from(short.is_none())),
        e_shstrndx: U16::new(LE, elf::SHN_UNDEF),
    }
}

fn program_header(kind: elf::ProgramType, prot: i32, at: u64, memory: (u64, u64), file_bytes: u64) -> ProgramHeader64<LE> {
    let word = |value| U64::new(LE, value);
    ProgramHeader64 {
        p_type: U32::new(LE, kind),
        p_flags: U32::new(LE, flags(prot)),
        p_offset: word(at),
        p_vaddr: word(memory.0),
        p_paddr: word(0),
        p_filesz: word(file_bytes),
        p_memsz: word(memory.1 - memory.0),
        p_align: word(if kind == elf::PT_LOAD { PAGE } else { 4 }),
    }
}

fn flags(prot: i32) -> elf::ProgramFlags {
    let pairs = [(libc::PROT_READ, elf::PF_R), (libc::PROT_WRITE, elf::PF_W), (libc::PROT_EXEC, elf::PF_X)];
    elf::ProgramFlags(pairs.iter().filter(|(bit, _)| prot & bit != 0).map(|(_, flag)| flag.0).sum())
}

/// A core file being written; dropped before it is complete, it goes.
struct Core<'a> {
    file: File,
    path: &'a Path,
    is_complete: bool,
}

impl Core<'_> {
    fn put(&self, at: u64, bytes: &[u8]) -> Result<(), Failure> {
        self.file.write_all_at(bytes, at).map_err(|source| CoreError::Write { path: self.path.to_owned(), source }).at(Stage::Write)
    }

    fn fill(&self, saved: &Saved, layout: &Layout, memory: &mut Contents<'_>) -> Result<(), Failure> {
        for (segment, at) in &layout.segments {
            match segment.origin {
                Origin::Elsewhere => {}
                Origin::Vdso => {
                    let bytes = usize::try_from(segment.file_bytes()).unwrap_or(usize::MAX);
                    self.put(*at, &saved.snapshot().vdso[..bytes])?;
                }
                Origin::Memory => self.copy(memory, segment.start, segment.end, *at)?,
                Origin::Object(id, offset) => {
                    let mut object = saved.contents(Space::Object(id))?;
                    self.copy(&mut object, offset, offset + segment.file_bytes(), *at)?;
                }
            }
        }
        Ok(())
    }

    /// Writes the saved pages in `start..end` of a space; what is not saved stays a hole.
    fn copy(&self, contents: &mut Contents<'_>, start: u64, end: u64, at: u64) -> Result<(), Failure> {
        let mut page = [0; PAGE_BYTES];
        for (first, count) in contents.runs() {
            for number in first.max(start / PAGE)..(first + count).min(end.div_ceil(PAGE)) {
                if contents.read(number, &mut page)? == Some(true) {
                    self.put(at + number * PAGE - start, &page)?;
                }
            }
        }
        Ok(())
    }

    fn finish(&mut self, bytes: u64) -> Result<(), Failure> {
        self.file.set_len(bytes).map_err(|source| CoreError::Write { path: self.path.to_owned(), source }).at(Stage::Write)?;
        self.is_complete = true;
        Ok(())
    }
}

impl Drop for Core<'_> {
    fn drop(&mut self) {
        if !self.is_complete {
            // It may have been removed by somebody else, which is as good.
            let _gone = std::fs::remove_file(self.path);
        }
    }
}
