//! The fields of an address space that no area shows: code, data, break, arguments, environment, auxiliary vector, program.
//!
//! Kept: all fields of `struct prctl_mm_map` (prctl(2), PR_SET_MM_MAP), the auxiliary vector, `/proc/PID/exe`.
//! Lost: `/proc/PID/exe` when the restart lacks CAP_CHECKPOINT_RESTORE; a warning says so.
//! Refused: nothing.

use crate::image::MmFields;
use crate::proc::Stat;
use crate::tracee::{Answers, Batch, Row};

/// Fields as `stat` shows them; the break is asked for, see [`ask_break`].
pub fn of(stat: &Stat, brk: u64) -> MmFields {
    MmFields {
        start_code: stat.start_code,
        end_code: stat.end_code,
        start_data: stat.start_data,
        end_data: stat.end_data,
        start_brk: stat.start_brk,
        brk,
        start_stack: stat.start_stack,
        arg_start: stat.arg_start,
        arg_end: stat.arg_end,
        env_start: stat.env_start,
        env_end: stat.env_end,
    }
}

/// Adds the question for the current break; a request for address 0 changes nothing (brk(2)).
pub fn ask_break(batch: &mut Batch) -> Row {
    batch.call("read the break", libc::SYS_brk, [0u64.into()])
}

/// The answer to [`ask_break`].
pub fn read_break(answers: &Answers, row: Row) -> u64 {
    answers.value(row).map_or(0, i64::cast_unsigned)
}

const PR_SET_MM_MAP: i32 = 14;
const NO_DESCRIPTOR: u32 = u32::MAX;
/// Size of `struct prctl_mm_map`.
const MAP_BYTES: usize = 104;

/// Adds the calls that set the fields. `exe` is the stub's descriptor of the program; without it, or where the kernel refuses it,
/// the link keeps pointing to the restarter. Returns the row that tells whether the program could be set.
pub fn set(fields: &MmFields, auxv: &[u8], exe: Option<i32>, batch: &mut Batch) -> Option<Row> {
    let with_exe = exe.map(|fd| {
        let args = arguments(fields, auxv, fd.cast_unsigned(), batch);
        batch.attempt(libc::SYS_prctl, args)
    });
    let args = arguments(fields, auxv, NO_DESCRIPTOR, batch);
    batch.call("set the memory layout", libc::SYS_prctl, args);
    with_exe
}

fn arguments(fields: &MmFields, auxv: &[u8], exe_fd: u32, batch: &mut Batch) -> [crate::tracee::Arg; 5] {
    let f = fields;
    let auxv_bytes = u32::try_from(auxv.len()).unwrap_or(0);
    let words = [
        f.start_code,
        f.end_code,
        f.start_data,
        f.end_data,
        f.start_brk,
        f.brk,
        f.start_stack,
        f.arg_start,
        f.arg_end,
        f.env_start,
        f.env_end,
        0,
        u64::from(auxv_bytes) | u64::from(exe_fd) << 32,
    ];
    let map = batch.words(&words);
    let auxv = batch.bytes(auxv);
    batch.pointer(map, 88, auxv);
    [libc::PR_SET_MM.into(), PR_SET_MM_MAP.into(), map.into(), MAP_BYTES.into(), 0u64.into()]
}
