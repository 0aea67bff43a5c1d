//! What was said on a command line, flag by flag, before anybody asks what it means ([`super::high`]).

use std::time::Duration;

use super::flag::destination::Place;
use super::flag::general::General;
use super::flag::kmsg::Kmsg;
use super::flag::script::Scripting;
use super::flag::signal::Afterwards;
use crate::engine::request::{Affinity, Asker, Clock, Creation, Omit, Owner, Participation, Source, TraceRule};
use crate::image::{LostSort, Scope};
use crate::policy::command::Commands;
use crate::policy::relocate::Relocation;
use crate::policy::rule::SaveFiles;

/// What was said to `cr_checkpoint`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CheckpointSaid {
    /// Quiet, verbose, JSON.
    pub general: General,
    /// What the ID names.
    pub scope: Scope,
    /// Where to write, if it was said.
    pub place: Option<Place>,
    /// What happens to an existing file.
    pub creation: Creation,
    /// Permission bits, if they were said.
    pub mode: Option<u32>,
    /// Whom the context file is given to, if it was said.
    pub owner: Option<Owner>,
    /// The signal afterwards.
    pub afterwards: Afterwards,
    /// The signal is sent even if the job could not be restarted here.
    pub unproven: bool,
    /// Wait for the disk.
    pub sync: bool,
    /// Mapped files to take along.
    pub save: SaveFiles,
    /// What to do with traced processes.
    pub ptraced: TraceRule,
    /// What to do with tracing processes.
    pub ptracer: TraceRule,
    /// When engine messages are shown.
    pub kmsg: Kmsg,
    /// What the job may lose.
    pub allow_lost: Vec<LostSort>,
    /// The time limit.
    pub time_limit: Option<Duration>,
    /// Programs that take part.
    pub participation: Participation,
    /// Scripts and decisions.
    pub scripting: Scripting,
}

impl Default for CheckpointSaid {
    fn default() -> CheckpointSaid {
        CheckpointSaid {
            general: General::default(),
            scope: Scope::Tree,
            place: None,
            creation: Creation::Atomic,
            mode: None,
            owner: None,
            afterwards: Afterwards::default(),
            unproven: false,
            sync: true,
            save: SaveFiles::default(),
            ptraced: TraceRule::Error,
            ptracer: TraceRule::Error,
            kmsg: Kmsg::default(),
            allow_lost: Vec::new(),
            time_limit: None,
            participation: Participation::default(),
            scripting: Scripting::default(),
        }
    }
}

/// What was said to `cr_restart`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestartSaid {
    /// Quiet, verbose, JSON.
    pub general: General,
    /// Where to read, if a flag said it.
    pub source: Option<Source>,
    /// The signal afterwards.
    pub afterwards: Afterwards,
    /// Saved process and thread ids, if it was said.
    pub restore_pid: Option<bool>,
    /// Saved process groups.
    pub restore_pgid: bool,
    /// Saved sessions.
    pub restore_sid: bool,
    /// Paths that moved.
    pub relocations: Vec<Relocation>,
    /// Whether later checkpoints leave cr_restart out.
    pub omit: Omit,
    /// Commands to run afterwards.
    pub hooks: Commands,
    /// When engine messages are shown.
    pub kmsg: Kmsg,
    /// Restart a job with more rights than the owner of the context file has.
    pub trust_file: bool,
    /// Compare everything before the job runs.
    pub verify: bool,
    /// `--compare`
    pub compare: bool,
    /// Do not wait for the job.
    pub detach: bool,
    /// Scripts and decisions.
    pub scripting: Scripting,
    /// All ids, in namespaces of the job's own.
    pub namespace: bool,
    /// What becomes of the clocks.
    pub clock: Clock,
    /// On which processors it runs.
    pub affinity: Affinity,
    /// The program that waits for the result.
    pub asker: Option<Asker>,
}

impl Default for RestartSaid {
    fn default() -> RestartSaid {
        RestartSaid {
            general: General::default(),
            source: None,
            afterwards: Afterwards::default(),
            restore_pid: None,
            restore_pgid: false,
            restore_sid: false,
            relocations: Vec::new(),
            omit: Omit::Maybe,
            asker: None,
            hooks: Commands::default(),
            kmsg: Kmsg::default(),
            trust_file: false,
            verify: false,
            compare: false,
            detach: false,
            scripting: Scripting::default(),
            namespace: false,
            clock: Clock::default(),
            affinity: Affinity::default(),
        }
    }
}

/// Lets the topics that programs share reach their part of what was said.
macro_rules! shared_topics {
    ($($said:ty: $($topic:ty => $field:ident),+;)+) => {
        $($(impl AsMut<$topic> for $said {
            fn as_mut(&mut self) -> &mut $topic {
                &mut self.$field
            }
        })+)+
    };
}

shared_topics! {
    CheckpointSaid: General => general, Afterwards => afterwards, Kmsg => kmsg, Scripting => scripting;
    RestartSaid: General => general, Afterwards => afterwards, Kmsg => kmsg, Scripting => scripting;
}

#[cfg(test)]
pub mod test {
    //! Command lines as the tests of the flags write them: words separated by blanks.

    use std::ffi::OsString;

    use super::*;
    use crate::cli::exit::Stop;
    use crate::cli::{checkpoint, high, restart};

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    /// What an accepted `cr_checkpoint` line says.
    pub fn checkpoint(line: &str) -> CheckpointSaid {
        let (said, operands) = checkpoint::program().parse(words(line));
        operands.unwrap_or_else(|stop| panic!("{line}: {stop:?}"));
        said
    }

    /// Exit code and text of a refused `cr_checkpoint` line.
    pub fn checkpoint_refusal(line: &str) -> (u8, String) {
        let (said, operands) = checkpoint::program().parse(words(line));
        let request = operands.and_then(|operands| Ok(high::checkpoint_request(&said, &operands, 1)?));
        refused(line, request.err())
    }

    /// What an accepted `cr_restart` line says.
    pub fn restart(line: &str) -> RestartSaid {
        let (said, operands) = restart::program().parse(words(line));
        operands.unwrap_or_else(|stop| panic!("{line}: {stop:?}"));
        said
    }

    /// What was said, and whether the line was accepted.
    pub fn restart_words(words: &[&str]) -> (RestartSaid, Result<(), Stop>) {
        let (said, operands) = restart::program().parse(words.iter().map(OsString::from));
        let request = operands.and_then(|operands| Ok(high::restart_request(&said, &operands)?));
        (said, request.map(|_| ()))
    }

    /// Exit code and text of a refused `cr_restart` line.
    pub fn restart_refusal(line: &str) -> (u8, String) {
        let words: Vec<&str> = line.split_whitespace().collect();
        refused(line, restart_words(&words).1.err())
    }

    fn refused(line: &str, stop: Option<Stop>) -> (u8, String) {
        match stop {
            Some(Stop::Refuse(refusal)) => (refusal.status(), refusal.text),
            other => panic!("{line} is not refused: {other:?}"),
        }
    }
}
