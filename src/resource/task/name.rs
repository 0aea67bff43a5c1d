//! The name of a thread (`comm`, prctl(PR_SET_NAME)).
//!
//! Kept: up to 15 bytes of anything.
//! Lost: nothing.
//! Refused: nothing.

use serde::{Deserialize, Serialize};

use crate::image::Tag;
use crate::resource::{Bind, KindError, Later, Step, TaskKind, TaskProbe};
use crate::tracee::Batch;

/// See the module.
pub struct Name;

/// The name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NameV1 {
    /// Without the NUL at its end.
    #[serde(with = "serde_bytes")]
    pub name: Vec<u8>,
}

/// TASK_COMM_LEN of the kernel.
const NAME_BYTES: usize = 16;

impl TaskKind for Name {
    type State = NameV1;
    const TAG: Tag = Tag::new("name", 1);
    const STEP: Step = Step::Flags;

    fn capture(&self, _probe: &TaskProbe<'_>, ask: &mut Batch) -> Result<Later<NameV1>, KindError> {
        let room = ask.room(NAME_BYTES);
        ask.call("read the thread's name", libc::SYS_prctl, [libc::PR_GET_NAME.into(), room.into()]);
        Ok(Box::new(move |answers| {
            let bytes = answers.bytes(room);
            let end = bytes.iter().position(|&byte| byte == 0).unwrap_or(bytes.len());
            Ok(NameV1 { name: bytes[..end].to_vec() })
        }))
    }

    fn apply(&self, state: &NameV1, _cx: &mut Bind<'_>, batch: &mut Batch) -> Result<(), KindError> {
        let name = batch.string(&state.name);
        batch.call("set the thread's name", libc::SYS_prctl, [libc::PR_SET_NAME.into(), name.into()]);
        Ok(())
    }
}

#[cfg(test)]
mod test {
    use super::super::bench;
    use super::*;

    #[test]
    fn any_bytes_come_back() {
        for name in [&b""[..], b"a) (b :c", b"\xff\xfe\n", b"fifteen bytes!!"] {
            bench::round_trip(&Name, &NameV1 { name: name.to_vec() });
        }
    }
}
