//! `cargo xtask testprogs`: compiles the C programs of `testprogs/` and `testprogs/load/` that are out of date.
//!
//! `X.c` becomes `TARGET/testprogs/X`, `load/X.c` becomes `TARGET/testprogs/load/X`. A line `// build: FLAGS` near the top of a source adds flags. Relies
//! on a C compiler, `$CC` or `cc`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::SystemTime;

use crate::Outcome;
use crate::place::{target, workspace};

const FLAGS: &[&str] = &["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"];
const LIBRARIES: &[&str] = &["-lrt", "-ldl", "-lm"];
/// How far down a source its `// build:` line may stand.
const HEAD_LINES: usize = 20;

/// One source and the program it becomes.
struct Program {
    source: PathBuf,
    binary: PathBuf,
}

/// Brings every test program up to date; says how many had to be compiled.
pub fn build() -> Outcome<usize> {
    let mut stale = Vec::new();
    for below in ["", "load"] {
        let programs = programs(below)?;
        remove_strangers(&programs, below);
        stale.extend(programs.into_iter().filter(is_stale));
    }
    compile_all(&stale)?;
    Ok(stale.len())
}

fn programs(below: &str) -> Outcome<Vec<Program>> {
    let sources = workspace().join("testprogs").join(below);
    let binaries = target().join("testprogs").join(below);
    fs::create_dir_all(&binaries).map_err(|error| format!("cannot make {}: {error}", binaries.display()))?;
    let entries = fs::read_dir(&sources).map_err(|error| format!("cannot list {}: {error}", sources.display()))?;
    let mut sources: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c"));
    sources.sort();
    let program = |source: PathBuf| Program { binary: binaries.join(source.file_stem().unwrap_or_default()), source };
    Ok(sources.into_iter().map(program).collect())
}

/// Programs whose source is gone would be tested for ever.
fn remove_strangers(programs: &[Program], below: &str) {
    for entry in fs::read_dir(target().join("testprogs").join(below)).into_iter().flatten().flatten() {
        let known = programs.iter().any(|program| program.binary == entry.path());
        if !known && entry.path().is_file() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_stale(program: &Program) -> bool {
    let changed = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified()).ok();
    let header = changed(&workspace().join("testprogs/journey.h")).unwrap_or(SystemTime::UNIX_EPOCH);
    let newest = changed(&program.source).unwrap_or_else(SystemTime::now).max(header);
    changed(&program.binary).is_none_or(|built| built < newest)
}

fn compile_all(programs: &[Program]) -> Outcome {
    let next = AtomicUsize::new(0);
    let errors = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some(program) = programs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(error) = compile(program) {
                        errors.lock().expect("the list of errors").push(error);
                    }
                }
            });
        }
    });
    let errors = errors.into_inner().expect("the list of errors");
    if errors.is_empty() { Ok(()) } else { Err(errors.join("\n")) }
}

fn compile(program: &Program) -> Outcome {
    let text = fs::read_to_string(&program.source).map_err(|error| format!("cannot read {}: {error}", program.source.display()))?;
    let extra = text.lines().take(HEAD_LINES).filter_map(|line| line.strip_prefix("// build:"));
    let mut command = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
    command.args(FLAGS).arg(&program.source).arg("-o").arg(&program.binary);
    command.args(extra.flat_map(str::split_whitespace)).args(LIBRARIES);
    let output = command.output().map_err(|error| format!("no C compiler: cannot run {}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    // A program of the last time must not be tested in place of this one.
    let _ = fs::remove_file(&program.binary);
    Err(format!("{} does not compile:\n{}", program.source.display(), String::from_utf8_lossy(&output.stderr)))
}
