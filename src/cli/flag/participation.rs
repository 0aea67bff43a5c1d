//! Programs that take part in their checkpoints (libcr), as `cr_checkpoint` sees them; and what libcr says to the programs that it starts.

use std::ffi::OsStr;

use super::{Flag, under};
use crate::cli::exit::{Refusal, Stop};
use crate::cli::low::{CheckpointSaid, RestartSaid};
use crate::engine::request::Asker;

/// `--require-libcr`; hidden: `--asker`, `--prohibit-requester`.
pub fn flags() -> Vec<Flag<CheckpointSaid>> {
    let flag = Flag::switch("require-libcr", |said: &mut CheckpointSaid| {
        said.participation.is_required = true;
        Ok(())
    })
    .help("Refuse processes without libcr, as BLCR did; they exit with 52 (default: they are saved as they are)");
    let asker = Flag::value("asker", "PID:ADDRESS", |said: &mut CheckpointSaid, value| {
        said.participation.asker = Some(asker(value)?);
        Ok(())
    })
    .help("Where libcr waits for what becomes of its request");
    let alone = Flag::switch("prohibit-requester", |said: &mut CheckpointSaid| {
        said.participation.prohibits_requester = true;
        Ok(())
    })
    .help("Refuse a checkpoint that would take the process that asks for it");
    under("Programs that take part", [flag, asker.hidden(), alone.hidden()])
}

/// Hidden: `--asker`.
pub fn of_restart() -> Vec<Flag<RestartSaid>> {
    let asker = Flag::value("asker", "PID:ADDRESS", |said: &mut RestartSaid, value| {
        said.asker = Some(asker(value)?);
        Ok(())
    })
    .help("Where libcr waits for what becomes of its request");
    vec![asker.hidden()]
}

/// Where libcr waits. This process is the one that it has started.
fn asker(value: &OsStr) -> Result<Asker, Stop> {
    let parsed =
        value.to_str().and_then(|text| text.split_once(':')).and_then(|(pid, address)| Some((pid.parse().ok()?, address.parse().ok()?)));
    let (pid, address) =
        parsed.ok_or_else(|| Stop::from(Refusal::usage(format!("--asker takes PID:ADDRESS, not '{}'", value.display()))))?;
    Ok(Asker { pid, address, front: nix::unistd::getpid().as_raw() })
}

#[cfg(test)]
mod test {
    use crate::cli::low::test::checkpoint;

    #[test]
    fn nobody_needs_libcr_unless_asked() {
        assert!(!checkpoint("1").participation.is_required);
        assert!(checkpoint("--require-libcr 1").participation.is_required);
        let asker = checkpoint("--asker 7:4096 1").participation.asker.unwrap();
        assert_eq!((asker.pid, asker.address), (7, 4096));
    }
}
