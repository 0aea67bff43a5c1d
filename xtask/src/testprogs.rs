//! `cargo xtask testprogs`: compiles the C programs of `testprogs/` and `testprogs/load/` that are out of date.
//!
//! `X.c` becomes `TARGET/testprogs/X`, `load/X.c` becomes `TARGET/testprogs/load/X`; so do C++ sources, `X.cc`. A line `// build: FLAGS` near the top of a
//! source adds flags; programs with `-lcr` or `-l:libcr.a` among them find libcr's headers, and its libraries beside themselves. Relies on a C compiler, `$CC` or
//! `cc`, and on `$CXX` or `c++`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::SystemTime;

use crate::Outcome;
use crate::place::{cargo, run, target, workspace};

const FLAGS: &[&str] = &["-std=gnu11", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"];
const LIBRARIES: &[&str] = &["-lrt", "-ldl", "-lm"];
/// How far down a source its `// build:` line may stand.
const HEAD_LINES: usize = 20;

/// C++ knows another dialect and one warning less.
const CXX_FLAGS: &[&str] = &["-std=gnu++17", "-O1", "-g", "-Wall", "-Wextra", "-Werror", "-pthread"];
/// The libraries of libcr as cargo calls them and as programs look for them.
const LIBRARIES_OF_LIBCR: &[(&str, &str)] = &[
    ("libcr.so", "libcr.so.0"),
    ("libcr_run.so", "libcr_run.so.0"),
    ("libcr_omit.so", "libcr_omit.so.0"),
    ("libcr.so", "libcr.so"),
    ("libcr.a", "libcr.a"),
    ("libcpr.so", "libcpr.so.0"),
    ("libcpr.so", "libcpr.so"),
];

/// One source and the program it becomes.
struct Program {
    source: PathBuf,
    binary: PathBuf,
}

/// Brings every test program up to date; says how many had to be compiled.
pub fn build() -> Outcome<usize> {
    build_libcr()?;
    let mut stale = Vec::new();
    for below in ["", "load"] {
        let programs = programs(below)?;
        remove_strangers(&programs, below);
        stale.extend(programs.into_iter().filter(is_stale));
    }
    compile_all(&stale)?;
    Ok(stale.len())
}

/// Builds the libraries that test programs link or load, and puts them beside those.
fn build_libcr() -> Outcome {
    run(&mut cargo(&[
        "build",
        "--quiet",
        "--profile",
        "libcr",
        "--package",
        "libcr",
        "--package",
        "libcr-run",
        "--package",
        "libcr-omit",
        "--package",
        "libcpr",
    ]))?;
    let (from, to) = (target().join("libcr"), target().join("testprogs"));
    fs::create_dir_all(&to).map_err(|error| format!("cannot make {}: {error}", to.display()))?;
    for (built, name) in LIBRARIES_OF_LIBCR {
        let (built, name) = (from.join(built), to.join(name));
        if modified(&name).is_some() && modified(&name) >= modified(&built) {
            continue;
        }
        // A running program keeps the file that it has mapped.
        let _ = fs::remove_file(&name);
        fs::copy(&built, &name).map_err(|error| format!("cannot copy {} to {}: {error}", built.display(), name.display()))?;
    }
    Ok(())
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|metadata| metadata.modified()).ok()
}

fn programs(below: &str) -> Outcome<Vec<Program>> {
    let sources = workspace().join("testprogs").join(below);
    let binaries = target().join("testprogs").join(below);
    fs::create_dir_all(&binaries).map_err(|error| format!("cannot make {}: {error}", binaries.display()))?;
    let entries = fs::read_dir(&sources).map_err(|error| format!("cannot list {}: {error}", sources.display()))?;
    let mut sources: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "c" || extension == "cc"));
    sources.sort();
    let program = |source: PathBuf| Program { binary: binaries.join(source.file_stem().unwrap_or_default()), source };
    Ok(sources.into_iter().map(program).collect())
}

/// Programs whose source is gone would be tested for ever.
fn remove_strangers(programs: &[Program], below: &str) {
    for entry in fs::read_dir(target().join("testprogs").join(below)).into_iter().flatten().flatten() {
        let is_library = LIBRARIES_OF_LIBCR.iter().any(|(_, name)| entry.file_name() == *name);
        let known = is_library || programs.iter().any(|program| program.binary == entry.path());
        if !known && entry.path().is_file() {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_stale(program: &Program) -> bool {
    let headers = ["testprogs/journey.h", "libcr/include/libcr.h", "libcr/include/blcr_common.h", "libcpr/include/ckpt.h"];
    let header = headers.iter().filter_map(|header| modified(&workspace().join(header))).max().unwrap_or(SystemTime::UNIX_EPOCH);
    let newest = modified(&program.source).unwrap_or_else(SystemTime::now).max(header);
    // What is linked statically is as old as its library.
    let archive = is_linked_with("-l:libcr.a", &program.source).then(|| modified(&target().join("testprogs/libcr.a"))).flatten();
    let newest = archive.map_or(newest, |archive| archive.max(newest));
    modified(&program.binary).is_none_or(|built| built < newest)
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

/// The flags that a source asks for.
fn flags_of(source: &Path) -> Outcome<Vec<String>> {
    let text = fs::read_to_string(source).map_err(|error| format!("cannot read {}: {error}", source.display()))?;
    let extra = text.lines().take(HEAD_LINES).filter_map(|line| line.strip_prefix("// build:"));
    Ok(extra.flat_map(str::split_whitespace).map(str::to_owned).collect())
}

fn is_linked_with(library: &str, source: &Path) -> bool {
    flags_of(source).is_ok_and(|flags| flags.iter().any(|flag| flag == library))
}

fn compile(program: &Program) -> Outcome {
    let is_cxx = program.source.extension().is_some_and(|extension| extension == "cc");
    let (variable, usual, flags) = if is_cxx { ("CXX", "c++", CXX_FLAGS) } else { ("CC", "cc", FLAGS) };
    let mut command = Command::new(env::var_os(variable).unwrap_or_else(|| usual.into()));
    let extra = flags_of(&program.source)?;
    command.args(flags);
    if extra.iter().any(|flag| flag == "-lcr" || flag == "-lcpr" || flag == "-l:libcr.a" || flag == "-DWITH_LIBCR") {
        let beside = target().join("testprogs");
        command.arg("-I").arg(workspace().join("libcpr/include"));
        command.arg("-I").arg(workspace().join("libcr/include")).arg("-L").arg(beside).arg("-Wl,-rpath,$ORIGIN");
    }
    command.arg(&program.source).arg("-o").arg(&program.binary).args(extra).args(LIBRARIES);
    let output = command.output().map_err(|error| format!("no C compiler: cannot run {}: {error}", command.get_program().display()))?;
    if output.status.success() {
        return Ok(());
    }
    // A program of the last time must not be tested in place of this one.
    let _ = fs::remove_file(&program.binary);
    Err(format!("{} does not compile:\n{}", program.source.display(), String::from_utf8_lossy(&output.stderr)))
}
