//! Builds what the suite drives and copies it aside, so that a build during the run changes nothing.
//!
//! Relies on lying in cargo's target directory: the tools come from the same profile as the suite itself. Leaves
//! compiling test programs to `cargo xtask testprogs`.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The programs under test.
pub const TOOLS: &[&str] = &["cr_checkpoint", "cr_restart", "cr_run", "cr_info", "cr_hooks", "cpr", "cview"];

/// The suite itself, in the run's directory: it starts itself again for every case.
pub const SUITE: &str = "journeys";

/// Where things are in cargo's target directory.
pub struct Built {
    target: PathBuf,
    profile: PathBuf,
}

impl Built {
    /// Found from the path of the running suite, TARGET/PROFILE/deps/journeys-….
    pub fn find() -> Built {
        let program = env::current_exe().expect("the path of the running program");
        let profile = program.ancestors().nth(2).expect("a directory above deps").to_owned();
        let target = profile.parent().expect("a directory above the profile").to_owned();
        Built { target, profile }
    }

    /// Builds the tools and the test programs.
    pub fn build(&self) -> Result<(), String> {
        let release = self.profile.ends_with("release");
        let release: &[&str] = if release { &["--release"] } else { &[] };
        self.cargo(&[&["build", "--quiet", "--package", "reprise", "--bins"], release].concat())?;
        self.cargo(&["run", "--quiet", "--package", "xtask", "--", "testprogs"])
    }

    fn cargo(&self, arguments: &[&str]) -> Result<(), String> {
        let (command, rest) = arguments.split_first().expect("a command of cargo");
        let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let mut cargo = Command::new(cargo);
        cargo.arg(command).arg("--target-dir").arg(&self.target).args(rest);
        cargo.current_dir(workspace());
        let status = cargo.status().map_err(|error| format!("cannot run cargo: {error}"))?;
        if status.success() { Ok(()) } else { Err(format!("cargo {} failed", arguments.join(" "))) }
    }

    /// Fills BASE/bin and BASE/programs. What is missing there fails the cases that need it.
    pub fn copy_to(&self, base: &Path, tools: Option<&Path>) -> std::io::Result<()> {
        let (bin, programs) = (base.join("bin"), base.join("programs"));
        take(&env::current_exe()?, &base.join(SUITE))?;
        fs::create_dir(&bin)?;
        fs::create_dir(&programs)?;
        for tool in TOOLS {
            let from = tools.unwrap_or(&self.profile).join(tool);
            if from.is_file() {
                take(&from, &bin.join(tool))?;
            }
        }
        // As in an installation: what cr_run preloads is in lib beside bin.
        let lib = base.join("lib");
        fs::create_dir(&lib)?;
        for library in ["libcr_run.so.0", "libcr_omit.so.0"] {
            let from = self.target.join("testprogs").join(library);
            if from.is_file() {
                take(&from, &lib.join(library))?;
            }
        }
        let load = programs.join("load");
        fs::create_dir(&load)?;
        for (from, to) in [("testprogs", &programs), ("testprogs/load", &load)] {
            copy_files(&self.target.join(from), to)?;
        }
        Ok(())
    }
}

/// Cargo and the compilers write new files over old names, so a second name keeps the old file as well as a copy does.
fn take(from: &Path, to: &Path) -> std::io::Result<()> {
    if fs::hard_link(from, to).is_err() {
        fs::copy(from, to)?;
    }
    Ok(())
}

fn copy_files(from: &Path, to: &Path) -> std::io::Result<()> {
    for entry in fs::read_dir(from).into_iter().flatten().flatten() {
        if entry.file_type()?.is_file() {
            take(&entry.path(), &to.join(entry.file_name()))?;
        }
    }
    Ok(())
}

/// The root of the repository.
pub fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("integration lies in the workspace")
}
