//! A list of system calls to be made inside a stopped task in one go, and what came back.
//!
//! Relies on nothing but the row layout of [`super::arch`]. Building a batch touches no process; [`super::Scratch`] runs it.
//! Addresses of arguments that live in the batch's own data are filled in when it is known where the data will lie.

mod piece;

pub(super) use piece::{Pieces, TooLarge};

use super::arch::ROW_BYTES;
use crate::sys::Errno;

/// An argument of a call in a batch.
#[derive(Debug, Clone, Copy)]
pub enum Arg {
    /// A plain number or an address in the task.
    Value(u64),
    /// The address of bytes that travel with the batch.
    Data(Buffer),
}

impl From<u64> for Arg {
    fn from(value: u64) -> Arg {
        Arg::Value(value)
    }
}

impl From<i32> for Arg {
    fn from(value: i32) -> Arg {
        Arg::Value(i64::from(value).cast_unsigned())
    }
}

impl From<u32> for Arg {
    fn from(value: u32) -> Arg {
        Arg::Value(u64::from(value))
    }
}

impl From<i64> for Arg {
    fn from(value: i64) -> Arg {
        Arg::Value(value.cast_unsigned())
    }
}

impl From<usize> for Arg {
    fn from(value: usize) -> Arg {
        Arg::Value(value as u64)
    }
}

impl From<Buffer> for Arg {
    fn from(buffer: Buffer) -> Arg {
        Arg::Data(buffer)
    }
}

/// Bytes inside a batch's data.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Buffer {
    /// Offset from the start of the data.
    pub offset: usize,
    /// Length in bytes.
    pub bytes: usize,
}

/// The position of a call in its batch, to ask for its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row(pub usize);

#[derive(Clone, Copy)]
struct Call {
    number: i64,
    args: [Arg; 6],
    tolerant: bool,
    attempt: &'static str,
}

/// System calls to be made one after the other inside a task.
#[derive(Default)]
pub struct Batch {
    calls: Vec<Call>,
    data: Vec<u8>,
    pointers: Vec<(usize, Buffer)>,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Batch {
        Batch::default()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.calls.is_empty()
    }

    /// Number of calls.
    pub fn len(&self) -> usize {
        self.calls.len()
    }

    /// Bytes of data that travel with the calls.
    pub fn data_bytes(&self) -> usize {
        self.data.len()
    }

    /// Adds a call that must succeed: if it fails, the batch ends there with an error that says "cannot `attempt`".
    pub fn call<const N: usize>(&mut self, attempt: &'static str, number: i64, args: [Arg; N]) -> Row {
        self.push(attempt, number, args, false)
    }

    /// Adds a call that may fail; ask [`Answers::value`] how it went.
    pub fn attempt<const N: usize>(&mut self, number: i64, args: [Arg; N]) -> Row {
        self.push("make a call", number, args, true)
    }

    fn push<const N: usize>(&mut self, attempt: &'static str, number: i64, args: [Arg; N], tolerant: bool) -> Row {
        let mut all = [Arg::Value(0); 6];
        all[..N].copy_from_slice(&args);
        self.calls.push(Call { number, args: all, tolerant, attempt });
        Row(self.calls.len() - 1)
    }

    /// Reserves zeroed bytes, aligned to 16, for a call to fill.
    pub fn room(&mut self, bytes: usize) -> Buffer {
        self.bytes(&vec![0; bytes])
    }

    /// Adds bytes, aligned to 16, for a call to read.
    pub fn bytes(&mut self, bytes: &[u8]) -> Buffer {
        self.data.resize(self.data.len().next_multiple_of(16), 0);
        let offset = self.data.len();
        self.data.extend_from_slice(bytes);
        Buffer { offset, bytes: bytes.len() }
    }

    /// Adds a NUL-terminated string.
    pub fn string(&mut self, text: &[u8]) -> Buffer {
        let mut bytes = text.to_vec();
        bytes.push(0);
        self.bytes(&bytes)
    }

    /// Adds 64-bit words.
    pub fn words(&mut self, words: &[u64]) -> Buffer {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.bytes(&bytes)
    }

    /// Overwrites the start of `buffer` with 64-bit words.
    pub fn fill(&mut self, buffer: Buffer, words: &[u64]) {
        for (index, word) in words.iter().enumerate() {
            let at = buffer.offset + index * 8;
            self.data[at..at + 8].copy_from_slice(&word.to_le_bytes());
        }
    }

    /// Makes the 64-bit word at byte `offset` of `holder` the address of `target`: for structures with pointers.
    pub fn pointer(&mut self, holder: Buffer, offset: usize, target: Buffer) {
        assert!(offset + 8 <= holder.bytes, "a pointer at {offset} of {} bytes", holder.bytes);
        self.pointers.push((holder.offset + offset, target));
    }

    /// The bytes of the calls in `range`, for data that lies at `data_address`.
    pub(super) fn rows(&self, range: std::ops::Range<usize>, data_address: u64) -> Vec<u8> {
        let mut rows = Vec::with_capacity(range.len() * ROW_BYTES);
        for call in &self.calls[range] {
            let flags = u64::from(call.tolerant) << 32;
            rows.extend_from_slice(&(call.number.cast_unsigned() & 0xffff_ffff | flags).to_le_bytes());
            for arg in call.args {
                let value = match arg {
                    Arg::Value(value) => value,
                    Arg::Data(buffer) => data_address + buffer.offset as u64,
                };
                rows.extend_from_slice(&value.to_le_bytes());
            }
            rows.extend_from_slice(&[0; 8]);
        }
        rows
    }

    /// The data with its pointers filled in, for data that lies at `data_address`.
    pub(super) fn data(&self, data_address: u64) -> Vec<u8> {
        let mut data = self.data.clone();
        for &(at, target) in &self.pointers {
            data[at..at + 8].copy_from_slice(&(data_address + target.offset as u64).to_le_bytes());
        }
        data
    }

    pub(super) fn attempt_of(&self, row: usize) -> &'static str {
        self.calls[row].attempt
    }
}

/// What the calls of a batch returned.
#[derive(Debug, Default)]
pub struct Answers {
    pub(super) results: Vec<i64>,
    pub(super) data: Vec<u8>,
}

impl Answers {
    /// The value a call returned, or its error.
    pub fn value(&self, row: Row) -> Result<i64, Errno> {
        let result = self.results[row.0];
        if (-4095..0).contains(&result) {
            let errno = i32::try_from(-result).unwrap_or(0);
            return Err(Errno::from_raw(errno));
        }
        Ok(result)
    }

    /// The bytes of a buffer after the calls.
    pub fn bytes(&self, buffer: Buffer) -> &[u8] {
        &self.data[buffer.offset..buffer.offset + buffer.bytes]
    }

    /// The `index`th 64-bit word of a buffer.
    pub fn word(&self, buffer: Buffer, index: usize) -> u64 {
        let bytes = self.bytes(buffer)[index * 8..index * 8 + 8].try_into().expect("eight bytes");
        u64::from_le_bytes(bytes)
    }

    /// The `index`th 32-bit word of a buffer.
    pub fn half(&self, buffer: Buffer, index: usize) -> u32 {
        let bytes = self.bytes(buffer)[index * 4..index * 4 + 4].try_into().expect("four bytes");
        u32::from_le_bytes(bytes)
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn rows_carry_number_tolerance_arguments_and_resolved_addresses() {
        let mut batch = Batch::new();
        let room = batch.room(8);
        batch.call("do a thing", 5, [1u64.into(), room.into()]);
        batch.attempt(6, [(-1i32).into()]);
        let rows = batch.rows(0..2, 0x1000);
        let word = |index: usize| u64::from_le_bytes(rows[index * 8..index * 8 + 8].try_into().unwrap());
        assert_eq!((word(0), word(1), word(2)), (5, 1, 0x1000));
        assert_eq!((word(8), word(9)), (6 | 1 << 32, u64::MAX));
    }

    #[test]
    fn small_negative_results_are_errors() {
        let answers = Answers { results: vec![-2, 7, -4096], data: vec![] };
        assert_eq!(answers.value(Row(0)), Err(Errno::ENOENT));
        assert_eq!(answers.value(Row(1)), Ok(7));
        assert_eq!(answers.value(Row(2)), Ok(-4096));
    }
}
