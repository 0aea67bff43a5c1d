//! Small settings of a thread that prctl(2) and arch_prctl(2) hold: reading of the time stamp counter, what the processor says about
//! itself, what happens on broken memory, speculation.
//!
//! Kept: those that are not as a new process has them.
//! Lost: what the kernel or the processor of the restart does not let a thread choose; PR_SET_IO_FLUSHER.
//! Refused: a thread that runs with a shadow stack.
//!
//! Relies on the restarter having the settings of a new process.

use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::{Answers, Arg, Batch, Buffer, Row};

/// See the module.
pub struct ThreadFlag;

/// The settings that are not as in a new process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadFlagV1 {
    /// Pairs of a name of [`SETTINGS`] and the value to set.
    pub settings: Vec<(String, u32)>,
}

/// A setting: how to ask for it, what a new process has, how to set it.
struct Setting {
    name: &'static str,
    get: Get,
    default: u32,
    call: i64,
    set: &'static [i32],
}

/// Where the value comes from.
enum Get {
    /// The kernel writes it to the place that the argument points to.
    Written(i32),
    /// It is what the call returns.
    Returned(i64, &'static [i32]),
    /// As returned, of the speculation feature with this number: it counts only when the thread may choose.
    Speculation(i32),
}

const ARCH_GET_CPUID: i32 = 0x1011;
const ARCH_SET_CPUID: i32 = 0x1012;
const PR_GET_SPECULATION_CTRL: i32 = 52;
const PR_SET_SPECULATION_CTRL: i32 = 53;
/// The thread may choose.
const PR_SPEC_PRCTL: u32 = 1;
const PR_SPEC_ENABLE: u32 = 2;
const PR_SPEC_DISABLE: u32 = 4;
const STORE_BYPASS: i32 = 0;
const INDIRECT_BRANCH: i32 = 1;
const L1D_FLUSH: i32 = 2;

static SETTINGS: &[Setting] = &[
    Setting { name: "tsc", get: Get::Written(libc::PR_GET_TSC), default: 1, call: libc::SYS_prctl, set: &[libc::PR_SET_TSC] },
    Setting {
        name: "machine_check",
        get: Get::Returned(libc::SYS_prctl, &[libc::PR_MCE_KILL_GET]),
        default: libc::PR_MCE_KILL_DEFAULT.cast_unsigned(),
        call: libc::SYS_prctl,
        set: &[libc::PR_MCE_KILL, libc::PR_MCE_KILL_SET],
    },
    Setting {
        name: "cpuid",
        get: Get::Returned(libc::SYS_arch_prctl, &[ARCH_GET_CPUID]),
        default: 1,
        call: libc::SYS_arch_prctl,
        set: &[ARCH_SET_CPUID],
    },
    Setting {
        name: "store_bypass",
        get: Get::Speculation(STORE_BYPASS),
        default: PR_SPEC_ENABLE,
        call: libc::SYS_prctl,
        set: &[PR_SET_SPECULATION_CTRL, STORE_BYPASS],
    },
    Setting {
        name: "indirect_branch",
        get: Get::Speculation(INDIRECT_BRANCH),
        default: PR_SPEC_ENABLE,
        call: libc::SYS_prctl,
        set: &[PR_SET_SPECULATION_CTRL, INDIRECT_BRANCH],
    },
    Setting {
        name: "l1d_flush",
        get: Get::Speculation(L1D_FLUSH),
        default: PR_SPEC_DISABLE,
        call: libc::SYS_prctl,
        set: &[PR_SET_SPECULATION_CTRL, L1D_FLUSH],
    },
];

impl TaskKind for ThreadFlag {
    type State = ThreadFlagV1;
    const TAG: Tag = Tag::new("thread_flag", 1);
    const STEP: Step = Step::Flags;

    fn capture(&self, probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<ThreadFlagV1>, KindError> {
        if probe.status.x86_thread_features.iter().any(|feature| feature == "shstk") {
            return Err(KindError::Unsupported {
                what: format!("thread {} of process {}, which runs with a shadow stack,", probe.tid, probe.pid),
                remedy: "start the job without: GLIBC_TUNABLES=glibc.cpu.x86_shstk=off".into(),
            });
        }
        let room = ask.room(4);
        let rows: Vec<Row> = SETTINGS.iter().map(|setting| setting.get.ask(room, ask)).collect();
        Ok(Box::new(move |answers| {
            let found = SETTINGS.iter().zip(rows).filter_map(|(setting, row)| {
                let value = setting.get.answer(answers, row, room)?;
                (value != setting.default).then(|| (setting.name.to_owned(), value))
            });
            Ok(ThreadFlagV1 { settings: found.collect() })
        }))
    }

    fn apply(&self, state: &ThreadFlagV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        for (name, value) in &state.settings {
            let Some(setting) = SETTINGS.iter().find(|setting| setting.name == name) else {
                continue;
            };
            let mut args = [Arg::Value(0); 4];
            let wanted = setting.set.iter().map(|&word| word.into()).chain([(*value).into()]);
            args.iter_mut().zip(wanted).for_each(|(arg, wanted)| *arg = wanted);
            batch.attempt(setting.call, args);
        }
        Ok(())
    }
}

impl Get {
    fn ask(&self, room: Buffer, batch: &mut Batch) -> Row {
        match *self {
            Get::Written(option) => batch.attempt(libc::SYS_prctl, [option.into(), room.into()]),
            Get::Returned(call, words) => {
                let mut args = [Arg::Value(0); 2];
                args.iter_mut().zip(words).for_each(|(arg, &word)| *arg = word.into());
                batch.attempt(call, args)
            }
            Get::Speculation(feature) => batch.attempt(libc::SYS_prctl, [PR_GET_SPECULATION_CTRL.into(), feature.into()]),
        }
    }

    /// None when the thread has no choice.
    fn answer(&self, answers: &Answers, row: Row, room: Buffer) -> Option<u32> {
        let value = u32::try_from(answers.value(row).ok()?).ok()?;
        match self {
            Get::Written(_) => Some(answers.half(room, 0)),
            Get::Returned(..) => Some(value),
            Get::Speculation(_) => (value & PR_SPEC_PRCTL != 0).then_some(value & !PR_SPEC_PRCTL),
        }
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    fn state(settings: &[(&str, u32)]) -> ThreadFlagV1 {
        ThreadFlagV1 { settings: settings.iter().map(|&(name, value)| (name.to_owned(), value)).collect() }
    }

    #[test]
    fn a_new_process_has_no_settings_and_others_come_back() {
        let early = libc::PR_MCE_KILL_EARLY.cast_unsigned();
        for settings in [&[][..], &[("tsc", 2)], &[("machine_check", early)], &[("tsc", 2), ("machine_check", early)]] {
            bench::round_trip(&ThreadFlag, &state(settings));
        }
    }

    #[test]
    fn a_speculation_that_the_thread_may_not_choose_is_left_alone() {
        let mut child = bench::Child::new();
        child.apply(&ThreadFlag, &state(&[("store_bypass", PR_SPEC_DISABLE), ("of a later release", 1)])).unwrap();
        let found = child.capture(&ThreadFlag).unwrap();
        // Whether there is a choice depends on the processor.
        assert!(found == state(&[]) || found == state(&[("store_bypass", PR_SPEC_DISABLE)]), "{found:?}");
    }
}
