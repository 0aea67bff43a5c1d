//! `cargo xtask demo`: a real job is checkpointed, killed and restarted, and every command is shown.
//!
//! The job is a shell script that computes prime numbers. What it printed in its two lives together must be every prime, once. Relies on `sh` and
//! on the programs' command lines; leaves nothing behind but the directory it names.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::unistd::geteuid;

use crate::Outcome;
use crate::place::{cargo, output, run, spelled, target};

/// Shell built-ins only: one process, so that it can also be restarted where its old pid cannot be had.
const SCRIPT: &str = "\
n=1
while [ $n -lt LIMIT ]; do
    n=$((n + 1)) d=2 prime=yes
    while [ $((d * d)) -le $n ] && [ $prime = yes ]; do
        [ $((n % d)) -ne 0 ] || prime=no
        d=$((d + 1))
    done
    [ $prime = no ] || echo $n
done
";
const LIMIT: u32 = 40_000;
/// The first life ends when this many primes are out.
const FIRST_LIFE: usize = 1_000;

/// Builds everything and plays the scene.
pub fn play() -> Outcome {
    println!("Building the programs …");
    run(&mut cargo(&["build", "--quiet", "--package", "reprise", "--bins"]))?;
    let scene = Scene::new()?;
    println!("\nA job that computes the prime numbers below {LIMIT}, in {}:", scene.dir.display());
    let mut job = scene.start()?;
    let result = scene.checkpoint_and_restart(&mut job);
    // Neither an early return nor a failure may leave the job running.
    let _ = job.kill();
    let _ = job.wait();
    result
}

struct Scene {
    dir: PathBuf,
    tools: PathBuf,
}

impl Scene {
    fn new() -> Outcome<Scene> {
        let dir =
            tempfile::Builder::new().prefix("reprise-demo-").tempdir().map_err(|error| format!("no temporary directory: {error}"))?.keep();
        fs::write(dir.join("primes.sh"), SCRIPT.replace("LIMIT", &LIMIT.to_string()))
            .map_err(|error| format!("cannot write the script: {error}"))?;
        Ok(Scene { dir, tools: target().join("debug") })
    }

    fn start(&self) -> Outcome<Child> {
        let out = File::create(self.dir.join("primes")).map_err(|error| format!("cannot make the output file: {error}"))?;
        println!("$ cd {}", self.dir.display());
        println!("$ PATH={}:$PATH", self.tools.display());
        println!("$ sh primes.sh >primes 2>&1 &");
        let mut command = Command::new("sh");
        command
            .arg("primes.sh")
            .current_dir(&self.dir)
            .stdin(Stdio::null())
            .stdout(out.try_clone().map_err(|error| format!("cannot share the output file: {error}"))?)
            .stderr(out)
            .process_group(0);
        command.spawn().map_err(|error| format!("cannot start sh: {error}"))
    }

    fn checkpoint_and_restart(&self, job: &mut Child) -> Outcome {
        self.wait_for(FIRST_LIFE)?;
        let pid = job.id().to_string();
        self.show(&["cr_checkpoint", "--kill", "-f", "primes.ctx", &pid])?;
        let end = job.wait().map_err(|error| format!("cannot wait for the job: {error}"))?;
        let first_life = self.lines()?;
        println!("The job is gone ({end}). It had found {} primes, the last is {}.\n", first_life.len(), first_life[first_life.len() - 1]);
        self.show(&["cr_info", "primes.ctx"])?;
        let as_root: &[&str] = &["cr_restart", "primes.ctx"];
        let as_user: &[&str] = &["cr_restart", "--no-restore-pid", "primes.ctx"];
        if !geteuid().is_root() {
            println!("Only root may choose pids, so the job comes back under another:");
        }
        println!("The job goes on from where it was; cr_restart waits for it as a shell would:");
        self.show(if geteuid().is_root() { as_root } else { as_user })?;
        self.judge(first_life.len())
    }

    /// Every prime, once, whichever life found it.
    fn judge(&self, first_life: usize) -> Outcome {
        let expected: Vec<String> =
            (2..=LIMIT).filter(|n| (2..*n).take_while(|d| d * d <= *n).all(|d| n % d != 0)).map(|n| n.to_string()).collect();
        let found = self.lines()?;
        println!("$ wc -l primes\n{}\n$ tail -n 1 primes\n{}", found.len(), found.last().map_or("", String::as_str));
        if found != expected {
            return Err(format!("the two lives together should have found {} primes; see {}", expected.len(), self.dir.display()));
        }
        println!(
            "\nAll {} primes, each once: {first_life} from the first life, {} from the second.",
            found.len(),
            found.len() - first_life
        );
        println!("Everything is still in {}; try the commands by hand.", self.dir.display());
        Ok(())
    }

    /// Runs one of the programs and shows both the command and its answer.
    fn show(&self, words: &[&str]) -> Outcome {
        let (tool, arguments) = words.split_first().expect("a command");
        let mut command = Command::new(self.tools.join(tool));
        command.args(arguments).current_dir(&self.dir);
        println!("$ {}", spelled(&command));
        print!("{}", output(&mut command)?);
        Ok(())
    }

    fn lines(&self) -> Outcome<Vec<String>> {
        read_lines(&self.dir.join("primes"))
    }

    fn wait_for(&self, lines: usize) -> Outcome {
        let start = Instant::now();
        while self.lines()?.len() < lines {
            if start.elapsed() > Duration::from_secs(60) {
                return Err("the job makes no progress".to_owned());
            }
            sleep(Duration::from_millis(20));
        }
        Ok(())
    }
}

fn read_lines(path: &Path) -> Outcome<Vec<String>> {
    let text = fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    Ok(text.lines().map(str::to_owned).collect())
}
