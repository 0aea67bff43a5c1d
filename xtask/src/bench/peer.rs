//! What the figures stand beside: a plain write of as many bytes, and CRIU.
//!
//! Relies on `criu` being in PATH and working here; leaves out what it does not report.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::time::Instant;

use super::Case;
use super::job::{Job, end_all};
use super::measure::{self, Measured};
use crate::Outcome;

/// What CRIU needed for the same job.
pub struct Criu {
    /// Its dump.
    pub dump: Measured,
    /// Its restore.
    pub restore: Measured,
    /// How long the job was stopped, in microseconds.
    pub frozen: f64,
}

/// Whether there is a CRIU that works here. Its own check also fills its cache of what the kernel can do.
pub fn is_usable() -> bool {
    let Ok(output) = Command::new("criu").arg("check").output() else {
        return false;
    };
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        eprintln!("criu is installed but does not work here: {}", words.lines().last().unwrap_or_default());
    }
    output.status.success()
}

/// How long it takes to write as many bytes into a new file, in microseconds.
pub fn plain_write(dir: &Path, bytes: u64) -> Outcome<f64> {
    let path = dir.join("plain");
    let cannot = |error: std::io::Error| format!("cannot write {}: {error}", path.display());
    let chunk = vec![0x5au8; 4 << 20];
    let start = Instant::now();
    let mut file = File::create(&path).map_err(cannot)?;
    let mut left = bytes;
    while left > 0 {
        let now = left.min(chunk.len() as u64);
        file.write_all(&chunk[..usize::try_from(now).unwrap_or(chunk.len())]).map_err(cannot)?;
        left -= now;
    }
    let took = start.elapsed();
    fs::remove_file(&path).map_err(cannot)?;
    Ok(took.as_secs_f64() * 1e6)
}

/// Dumps and restores the same job with CRIU.
pub fn criu(case: &Case, dir: &Path) -> Outcome<Criu> {
    let images = dir.join("criu");
    let _ = fs::remove_dir_all(&images);
    fs::create_dir(&images).map_err(|error| format!("cannot make {}: {error}", images.display()))?;
    let job = Job::start(case, dir)?;
    let mut dump = Command::new("criu");
    dump.args(["dump", "--shell-job", "-v0", "-t"]).arg(job.pid.to_string()).arg("-D").arg(&images);
    let (dump, _) = measure::run(&mut dump)?;
    end_all();
    let frozen = frozen_time(&fs::read(images.join("stats-dump")).unwrap_or_default());
    let mut restore = Command::new("criu");
    restore.args(["restore", "-d", "--shell-job", "-v0", "-D"]).arg(&images);
    let (restore, _) = measure::run(&mut restore)?;
    end_all();
    let _ = fs::remove_dir_all(&images);
    Ok(Criu { dump, restore, frozen: frozen.unwrap_or(f64::NAN) })
}

/// `frozen_time` of a `stats-dump` file: after two magic words and a length comes one protocol-buffers message whose
/// first field is a message, and whose second field in that is the time.
fn frozen_time(file: &[u8]) -> Option<f64> {
    let entry = bytes_field(file.get(12..)?, 1)?;
    let mut at = 0;
    while at < entry.len() {
        let key = varint(entry, &mut at)?;
        let value = varint(entry, &mut at)?;
        if key == 2 << 3 {
            return Some(value as f64);
        }
    }
    None
}

/// The bytes of a leading length-delimited field with this number.
fn bytes_field(message: &[u8], number: u64) -> Option<&[u8]> {
    let mut at = 0;
    let is_wanted = varint(message, &mut at)? == number << 3 | 2;
    let length = usize::try_from(varint(message, &mut at)?).ok()?;
    if is_wanted { message.get(at..at + length) } else { None }
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::frozen_time;

    #[test]
    fn the_frozen_time_is_found() {
        // freezing_time 300, frozen_time 70000
        let file = [&[0; 12][..], &[0x0a, 0x07, 0x08, 0xac, 0x02, 0x10, 0xf0, 0xa2, 0x04]].concat();
        assert_eq!(frozen_time(&file), Some(70_000.0));
        assert_eq!(frozen_time(&file[..15]), None);
    }
}
