//! Pieces of a batch whose data does not fit a slot: a few calls at a time, each piece a batch of its own with the data of its calls.
//!
//! Relies on nothing but the batch. How much a job has (timers, pending signals, groups) must never decide whether a batch can be run, only in
//! how many pieces. What one call wrote is there for the calls of later pieces.

use std::collections::{BTreeMap, BTreeSet};

use super::super::arch::ROW_BYTES;
use super::{Answers, Arg, Batch, Buffer, Call};

/// Some calls of a batch in a row, as a batch of its own.
pub struct Piece {
    /// The calls and their data.
    pub batch: Batch,
    /// Where each buffer is in the whole, and where in the piece.
    buffers: Vec<(Buffer, Buffer)>,
}

/// A batch on its way through a slot, piece by piece.
pub struct Pieces<'a> {
    whole: &'a Batch,
    /// Pointers inside the data: where they stand, and to what they point.
    pointers: BTreeMap<usize, Buffer>,
    /// Bytes of rows and data that fit.
    room: usize,
    results: Vec<i64>,
    data: Vec<u8>,
}

/// A single call with more data than a slot has room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooLarge {
    /// What the call was to do.
    pub attempt: &'static str,
    /// Bytes of its data.
    pub bytes: usize,
}

impl Batch {
    /// Whether all of its data and at least one row have `room` bytes at the same time.
    pub fn fits(&self, room: usize) -> bool {
        self.data.len().next_multiple_of(64) + ROW_BYTES <= room
    }

    fn copy(&mut self, data: &[u8], whole: Buffer) -> Buffer {
        self.bytes(&data[whole.offset..whole.offset + whole.bytes])
    }
}

impl<'a> Pieces<'a> {
    /// Prepares to run `whole` in a slot with `room` bytes for rows and data.
    pub fn new(whole: &'a Batch, room: usize) -> Pieces<'a> {
        let pointers = whole.pointers.iter().copied().collect();
        Pieces { whole, pointers, room, results: Vec::with_capacity(whole.len()), data: whole.data.clone() }
    }

    /// The next calls, as many as fit; `None` when all have been made.
    pub fn next(&self) -> Result<Option<Piece>, TooLarge> {
        let first = self.results.len();
        let (mut buffers, mut bytes, mut last) = (BTreeSet::new(), 0, first);
        for call in &self.whole.calls[first..] {
            let more = self.buffers_of(call, &buffers);
            let added: usize = more.iter().map(|buffer| buffer.1.next_multiple_of(16)).sum();
            if self.room < (bytes + added).next_multiple_of(64) + (last + 1 - first) * ROW_BYTES {
                break;
            }
            bytes += added;
            last += 1;
            buffers.extend(more);
        }
        match self.whole.calls.get(first) {
            None => Ok(None),
            Some(call) if last == first => {
                let bytes = self.buffers_of(call, &BTreeSet::new()).iter().map(|buffer| buffer.1).sum();
                Err(TooLarge { attempt: call.attempt, bytes })
            }
            Some(_) => Ok(Some(self.piece(&self.whole.calls[first..last], buffers))),
        }
    }

    /// Takes what the calls of the piece returned that `next` gave.
    pub fn done(&mut self, piece: &Piece, answers: &Answers) {
        self.results.extend(&answers.results);
        for (whole, here) in &piece.buffers {
            self.data[whole.offset..whole.offset + whole.bytes].copy_from_slice(answers.bytes(*here));
        }
    }

    /// The answers of the whole batch.
    pub fn finish(self) -> Answers {
        Answers { results: self.results, data: self.data }
    }

    /// The buffers that a call needs and that are not in `have`, as offset and length: its arguments, and what they point to.
    fn buffers_of(&self, call: &Call, have: &BTreeSet<(usize, usize)>) -> BTreeSet<(usize, usize)> {
        let mut found = BTreeSet::new();
        let mut open: Vec<Buffer> =
            call.args.iter().filter_map(|arg| if let Arg::Data(buffer) = arg { Some(*buffer) } else { None }).collect();
        while let Some(buffer) = open.pop() {
            let key = (buffer.offset, buffer.bytes);
            if !have.contains(&key) && found.insert(key) {
                open.extend(self.pointers.range(buffer.offset..buffer.offset + buffer.bytes).map(|(_, target)| *target));
            }
        }
        found
    }

    fn piece(&self, calls: &[Call], buffers: BTreeSet<(usize, usize)>) -> Piece {
        let mut batch = Batch::new();
        let copied: BTreeMap<usize, (Buffer, Buffer)> = buffers
            .into_iter()
            .map(|(offset, bytes)| Buffer { offset, bytes })
            .map(|whole| (whole.offset, (whole, batch.copy(&self.data, whole))))
            .collect();
        let here = |whole: Buffer| copied[&whole.offset].1;
        for (whole, holder) in copied.values() {
            let pointers = self.pointers.range(whole.offset..whole.offset + whole.bytes);
            pointers.for_each(|(at, target)| batch.pointer(*holder, at - whole.offset, here(*target)));
        }
        batch.calls = calls
            .iter()
            .map(|call| Call { args: call.args.map(|arg| if let Arg::Data(buffer) = arg { here(buffer).into() } else { arg }), ..*call })
            .collect();
        Piece { batch, buffers: copied.into_values().collect() }
    }
}

#[cfg(test)]
mod test {
    use super::*;

    /// Runs all pieces; each call "returns" the first byte of its first buffer plus one, and writes it there.
    fn run(whole: &Batch, room: usize) -> Result<(usize, Answers), TooLarge> {
        let mut pieces = Pieces::new(whole, room);
        let mut count = 0;
        while let Some(piece) = pieces.next()? {
            let mut data = piece.batch.data.clone();
            assert!(piece.batch.fits(room));
            let results = piece.batch.calls.iter().map(|call| match call.args[0] {
                Arg::Data(buffer) => {
                    data[buffer.offset] += 1;
                    data[buffer.offset].into()
                }
                Arg::Value(value) => value.cast_signed(),
            });
            let results = results.collect();
            pieces.done(&piece, &Answers { results, data });
            count += 1;
        }
        Ok((count, pieces.finish()))
    }

    #[test]
    fn a_batch_of_any_size_runs_in_pieces_that_fit() {
        let mut batch = Batch::new();
        let buffers: Vec<Buffer> = (0..200u8).map(|n| batch.bytes(&[n; 100])).collect();
        let rows: Vec<_> = buffers.iter().map(|buffer| batch.call("count", 1, [(*buffer).into()])).collect();
        let (count, answers) = run(&batch, 2048).unwrap();
        assert!(10 < count, "{count}");
        for ((row, buffer), n) in rows.into_iter().zip(buffers).zip(0..) {
            assert_eq!(answers.value(row), Ok(n + 1));
            assert_eq!(i64::from(answers.bytes(buffer)[0]), n + 1);
        }
    }

    #[test]
    fn what_a_call_wrote_is_there_in_later_pieces() {
        let mut batch = Batch::new();
        let shared = batch.bytes(&[10; 64]);
        let big = batch.room(700);
        let first = batch.call("count", 1, [shared.into()]);
        batch.call("use much room", 1, [big.into()]);
        let second = batch.call("count", 1, [shared.into()]);
        let (count, answers) = run(&batch, 900).unwrap();
        assert_eq!((count, answers.value(first), answers.value(second)), (2, Ok(11), Ok(12)));
    }

    #[test]
    fn pointers_go_with_what_they_point_to() {
        let mut batch = Batch::new();
        for n in 0..50u8 {
            let (holder, target) = (batch.room(64), batch.bytes(&[n; 40]));
            batch.pointer(holder, 8, target);
            batch.call("follow", 1, [holder.into()]);
        }
        let pieces = Pieces::new(&batch, 1024);
        let piece = pieces.next().unwrap().unwrap().batch;
        let (calls, pointers) = (piece.len(), piece.pointers.len());
        assert!(1 < calls && calls < 50 && calls == pointers, "{calls} {pointers}");
        let data = piece.data(0x1000);
        let (holder, target) = piece.pointers[1];
        assert_eq!(data[target.offset], 1);
        assert_eq!(u64::from_le_bytes(data[holder..holder + 8].try_into().unwrap()), 0x1000 + target.offset as u64);
    }

    #[test]
    fn a_call_with_too_much_data_is_named() {
        let mut batch = Batch::new();
        let big = batch.room(5000);
        batch.call("set the groups", 1, [big.into()]);
        assert_eq!(run(&batch, 4096).err(), Some(TooLarge { attempt: "set the groups", bytes: 5000 }));
    }
}
