//! The machine as `cview` sees it, behind a trait so that the tests can put another in its place; and what it is told to do.
//!
//! Relies on [`crate::engine::look`] and [`crate::engine::statefile`] for what is there, and on the program `cpr`, a child of this one, for what is done.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use nix::unistd::{Uid, User};

use crate::cli::attributes;
use crate::cli::cpr::info;
use crate::cli::text::{self, Attempt};
use crate::engine::look::{self, Kinds, Seen, SeenFile};
use crate::engine::statefile::{Statefile, failure, say};
use crate::error::{Classified, Failure, Stage};
use crate::image::FileAction;
use crate::policy::attribute::{AtCheckpoint, Id, file_action};
use crate::sys::cli_support::in_new_session;

/// What can be asked of the machine. Failures are texts with their remedies, for the pane that shows them.
pub trait World {
    /// The processes of a user; of everybody if the name is `*`.
    fn processes(&self, user: &str) -> Result<Vec<Seen>, String>;
    /// The files of an id, with what becomes of them as the attribute files say.
    fn files(&self, id: Id) -> Result<Vec<(SeenFile, FileAction)>, String>;
    /// The processes of an id, and their memory.
    fn members(&self, id: Id) -> Result<(Vec<i32>, Kinds), String>;
    /// What is in a directory.
    fn list(&self, path: &Path) -> Result<Vec<Entry>, String>;
    /// What is in a statefile.
    fn tell(&self, path: &Path) -> Result<Vec<String>, String>;
    /// Deletes a statefile.
    fn remove(&self, path: &Path) -> Result<(), String>;
    /// Starts what was ordered.
    fn start(&self, order: &Order) -> Result<Box<dyn Work>, String>;
    /// The name of a user.
    fn name(&self, uid: u32) -> String;
}

/// A line of the list of statefiles.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// Whether it is a directory.
    pub is_directory: bool,
    /// Whether it looks like a statefile.
    pub is_statefile: bool,
    /// Whose it is.
    pub owner: u32,
    /// When it was changed, seconds since 1970.
    pub modified: i64,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// STEP III.
    Checkpoint {
        /// What is saved.
        id: Id,
        /// Where.
        path: PathBuf,
        /// Whether it runs on.
        goes_on: bool,
        /// With programs and libraries.
        upgrade: bool,
        /// Over a statefile that is there.
        force: bool,
        /// What becomes of these files.
        files: Vec<(String, FileAction)>,
    },
    /// OK Go Restart.
    Restart {
        /// From where.
        path: PathBuf,
        /// Any process ids.
        any: bool,
        /// Not the original working directory.
        no_cwd: bool,
        /// Not the original root directory.
        no_root: bool,
    },
}

impl Order {
    /// What is being done, for people.
    pub fn title(&self) -> String {
        match self {
            Order::Checkpoint { id, path, .. } => format!("saving {id} in {}", path.display()),
            Order::Restart { path, .. } => format!("restarting {}", path.display()),
        }
    }

    /// The attribute file that says what the panel says.
    fn attributes(&self) -> Result<String, String> {
        let mut text = String::new();
        match self {
            Order::Checkpoint { id, files, .. } => {
                text += &format!("CKPT {} {:#x} {{\n", id.kind.word(), id.number);
                for (path, action) in files {
                    if path.contains(['"', '\n']) {
                        return Err(format!("{path} has a name that attribute files cannot hold"));
                    }
                    let pattern: String =
                        path.chars().flat_map(|c| "\\*?[]{},".contains(c).then_some('\\').into_iter().chain([c])).collect();
                    text += &format!("  FILE: \"{pattern}\": {}\n", action.word().to_uppercase());
                }
                text += "}\n";
            }
            Order::Restart { any, no_cwd, no_root, .. } => {
                let word = |is_chosen: bool, yes: &'static str, no: &'static str| if is_chosen { yes } else { no };
                text += &format!(
                    "CKPT * {{ FORK: {} CDIR: {} RDIR: {} }}\n",
                    word(*any, "ANY", "ORIGINAL"),
                    word(*no_cwd, "IGNORE", "REPLACE"),
                    word(*no_root, "IGNORE", "REPLACE"),
                );
            }
        }
        Ok(text)
    }

    fn words(&self, attributes: &Path) -> Vec<std::ffi::OsString> {
        let mut words: Vec<std::ffi::OsString> = vec!["--attributes".into(), attributes.into()];
        match self {
            Order::Checkpoint { id, path, goes_on, upgrade, force, .. } => {
                words.extend(["-c".into(), path.into(), "-p".into(), format!("{:#x}:{}", id.number, id.kind.word()).into()]);
                words.push(if *goes_on { "-g" } else { "-k" }.into());
                words.extend(upgrade.then_some("-u".into()));
                words.extend(force.then_some("-f".into()));
            }
            Order::Restart { path, .. } => words.extend(["-r".into(), "--".into(), path.into()]),
        }
        words
    }
}

/// Something that is being done.
pub trait Work {
    /// What it is.
    fn title(&self) -> &str;
    /// Since when, seconds.
    fn seconds(&self) -> f64;
    /// Bytes written so far, if that is known.
    fn bytes(&self) -> Option<u64>;
    /// Whether it is over: an empty text for success, else what went wrong.
    fn over(&mut self) -> Option<String>;
    /// Asks it to give up.
    fn give_up(&mut self);
}

/// This machine.
#[derive(Debug, Default)]
pub struct Machine;

fn told(failure: &Failure) -> String {
    text::failure(Attempt::Info, failure)
}

fn classified(error: impl Classified) -> String {
    told(&Failure::new(Stage::Select, error))
}

impl World for Machine {
    fn processes(&self, user: &str) -> Result<Vec<Seen>, String> {
        let uid = match user {
            "*" => None,
            name => match User::from_name(name) {
                Ok(Some(user)) => Some(user.uid.as_raw()),
                _ => Some(name.parse().map_err(|_| format!("there is no user {name}\n  type another name, or * for everybody"))?),
            },
        };
        look::processes(uid).map_err(classified)
    }

    fn files(&self, id: Id) -> Result<Vec<(SeenFile, FileAction)>, String> {
        let rule = AtCheckpoint::new(attributes::of_user().map_err(|failure| told(&failure))?, vec![id]);
        let files = look::files(id).map_err(classified)?;
        let with_action = |file: SeenFile| {
            let action = rule.file(&file.path).map_or(FileAction::Merge, |found| file_action(found.line.action));
            (file, action)
        };
        Ok(files.into_iter().map(with_action).collect())
    }

    fn members(&self, id: Id) -> Result<(Vec<i32>, Kinds), String> {
        let members = look::members(id).map_err(classified)?;
        let kinds = look::memory(&members);
        Ok((members, kinds))
    }

    fn list(&self, path: &Path) -> Result<Vec<Entry>, String> {
        use std::os::unix::fs::MetadataExt;
        let failed = |error: std::io::Error| format!("cannot list {}: {error}\n  choose another path", path.display());
        let mut entries = Vec::new();
        for entry in std::fs::read_dir(path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            let Ok(found) = std::fs::symlink_metadata(entry.path()) else { continue };
            let is_directory = entry.path().is_dir();
            entries.push(Entry {
                name: entry.file_name().to_string_lossy().into_owned(),
                is_directory,
                is_statefile: is_directory && holds_context_files(&entry.path()),
                owner: found.uid(),
                modified: found.mtime(),
            });
        }
        entries.sort_by(|a, b| (!a.is_statefile, &a.name).cmp(&(!b.is_statefile, &b.name)));
        Ok(entries)
    }

    fn tell(&self, path: &Path) -> Result<Vec<String>, String> {
        let told_of = || {
            let snapshot = Statefile::open(path).map_err(failure)?.read()?;
            let sayings = say(&snapshot)?;
            Ok(info::lines(&path.display().to_string(), &snapshot, &sayings))
        };
        told_of().map_err(|failure: Failure| told(&failure))
    }

    fn remove(&self, path: &Path) -> Result<(), String> {
        Statefile::open(path).and_then(Statefile::remove).map_err(|error| told(&failure(error)))
    }

    fn start(&self, order: &Order) -> Result<Box<dyn Work>, String> {
        let failed = |what: &str, error: std::io::Error| format!("cannot {what}: {error}");
        let mut attributes = tempfile().map_err(|error| failed("make a temporary file", error))?;
        attributes.write_all(order.attributes()?.as_bytes()).map_err(|error| failed("write a temporary file", error))?;
        let said = tempfile().map_err(|error| failed("make a temporary file", error))?;
        let output = said.try_clone().map_err(|error| failed("share a temporary file", error))?;
        // The child has this descriptor as its standard input: a file without a name has one there.
        let stdin = attributes.try_clone().map_err(|error| failed("share a temporary file", error))?;
        let program = std::env::current_exe().map(|own| own.with_file_name("cpr")).ok().filter(|path| path.exists());
        let mut command = Command::new(program.unwrap_or_else(|| "cpr".into()));
        command.args(order.words(Path::new("/proc/self/fd/0"))).stdin(Stdio::from(stdin)).stdout(Stdio::null()).stderr(Stdio::from(output));
        let child = in_new_session(&mut command).spawn().map_err(|error| failed("start cpr", error))?;
        let watched = match order {
            Order::Checkpoint { path, .. } => Some(path.clone()),
            Order::Restart { .. } => None,
        };
        Ok(Box::new(Running { title: order.title(), child, said, watched, begun: Instant::now() }))
    }

    fn name(&self, uid: u32) -> String {
        User::from_uid(Uid::from_raw(uid)).ok().flatten().map_or_else(|| uid.to_string(), |user| user.name)
    }
}

fn tempfile() -> std::io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    let directory = std::env::temp_dir();
    File::options().read(true).write(true).mode(0o600).custom_flags(libc::O_TMPFILE).open(directory)
}

fn holds_context_files(path: &Path) -> bool {
    let Ok(entries) = std::fs::read_dir(path) else { return false };
    let mut names = entries.flatten().map(|entry| entry.file_name().to_string_lossy().starts_with("context."));
    names.next().is_some_and(|first| first) && names.all(|is_one| is_one)
}

/// `cpr` at work.
struct Running {
    title: String,
    child: Child,
    said: File,
    watched: Option<PathBuf>,
    begun: Instant,
}

impl Work for Running {
    fn title(&self) -> &str {
        &self.title
    }

    fn seconds(&self) -> f64 {
        self.begun.elapsed().as_secs_f64()
    }

    fn bytes(&self) -> Option<u64> {
        let path = self.watched.as_ref()?;
        let name = path.file_name()?.to_string_lossy().into_owned();
        let above = path.parent().filter(|above| !above.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let is_ours = |entry: &std::fs::DirEntry| {
            let entry = entry.file_name().to_string_lossy().into_owned();
            entry == name || entry.starts_with(&format!(".{name}.")) && entry.ends_with(".tmp")
        };
        let directories = std::fs::read_dir(above).ok()?.flatten().filter(is_ours);
        let sizes = directories.flat_map(|entry| std::fs::read_dir(entry.path()).into_iter().flatten().flatten());
        Some(sizes.filter_map(|entry| entry.metadata().ok()).map(|found| found.len()).sum())
    }

    fn over(&mut self) -> Option<String> {
        let status = match self.child.try_wait() {
            Ok(None) => return None,
            Ok(Some(status)) => status,
            Err(error) => return Some(format!("cannot wait for cpr: {error}")),
        };
        let mut said = String::new();
        if self.said.rewind().and_then(|()| self.said.read_to_string(&mut said)).is_err() || said.is_empty() && !status.success() {
            said = format!("cpr ended with {status} and said nothing");
        }
        Some(if status.success() { String::new() } else { said })
    }

    fn give_up(&mut self) {
        // cpr gives up when it gets this, and the processes run on. It is our child: nobody else can have its id.
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _ = nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGTERM);
        }
    }
}

/// A name for the next statefile of a process: with the day, as the guide advises.
pub fn statefile_name(pid: i64, names: &HashMap<String, ()>) -> String {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    let day = humantime::format_rfc3339_seconds(UNIX_EPOCH + std::time::Duration::from_secs(seconds)).to_string();
    let base = format!("ckpt-{pid}-{}", day.get(..10).unwrap_or_default());
    let numbered = (2..).map(|number| format!("{base}.{number}"));
    std::iter::once(base.clone()).chain(numbered).find(|name| !names.contains_key(name)).unwrap_or(base)
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::policy::attribute::{AttributeFile, Attributes, IdType};

    #[test]
    fn orders_are_attribute_files_and_words_of_cpr() {
        let id = Id { kind: IdType::Hid, number: 7 };
        let files = vec![("/tmp/a*b".to_owned(), FileAction::Replace), ("/srv/x".into(), FileAction::Append)];
        let order = Order::Checkpoint { id, path: "state".into(), goes_on: true, upgrade: true, force: false, files };
        let file = AttributeFile::parse(&order.attributes().unwrap(), Path::new("a")).unwrap();
        let rule = AtCheckpoint::new(Attributes(vec![file]), vec![id]);
        let action = |path: &str| rule.file(path).map(|found| found.line.action);
        assert_eq!((action("/tmp/a*b"), action("/tmp/aXb"), action("/srv/x")), (Some("REPLACE"), None, Some("APPEND")));
        let words: Vec<String> = order.words(Path::new("F")).iter().map(|word| word.to_string_lossy().into_owned()).collect();
        assert_eq!(words.join(" "), "--attributes F -c state -p 0x7:HID -g -u");
        let restart = Order::Restart { path: "-s".into(), any: true, no_cwd: false, no_root: true };
        assert_eq!(restart.attributes().unwrap(), "CKPT * { FORK: ANY CDIR: REPLACE RDIR: IGNORE }\n");
        assert_eq!(restart.words(Path::new("F")).last().unwrap(), "-s");
        let bad = vec![("/tmp/\"".to_owned(), FileAction::Append)];
        let order = Order::Checkpoint { id, path: "s".into(), goes_on: false, upgrade: false, force: false, files: bad };
        assert!(order.attributes().is_err());
    }

    #[test]
    fn names_of_statefiles_are_new_ones() {
        let first = statefile_name(7, &HashMap::new());
        assert!(first.starts_with("ckpt-7-20") && first.len() == 17, "{first}");
        let taken = HashMap::from([(first.clone(), ())]);
        assert_eq!(statefile_name(7, &taken), format!("{first}.2"));
    }
}
