//! What is written comes back equal: through files and pipes, from one writer and several.

use std::collections::HashMap;
use std::fs::OpenOptions;
use std::io::{Read, SeekFrom};
use std::thread;

use super::*;

fn assert_equal(found: &[Put], expected: &[Put]) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((found.space, &found.runs), (expected.space, &expected.runs));
        assert!(found.data == expected.data, "the data of {:?}", found.space);
    }
}

#[test]
fn a_file_is_read_in_order_and_by_entry() {
    let blocks = sample_blocks();
    let image = image(&sample(), &blocks);
    let (snapshot, found) = read_all(file_of(&image)).unwrap();
    assert_eq!(snapshot, sample());
    assert_equal(&found, &blocks);

    let mut reader = Reader::open(file_of(&image)).unwrap();
    assert!(reader.is_seekable());
    let mut data = Vec::new();
    for (space, numbers) in [(Space::Object(1), &[3][..]), (Space::Memory(0), &[0, 1]), (Space::Memory(1), &[2]), (Space::Object(0), &[])] {
        let entries = reader.blocks_of(space);
        assert_eq!(entries.len(), numbers.len());
        for (entry, number) in entries.iter().zip(numbers) {
            assert_eq!(reader.read_block(entry, &mut data).unwrap().runs, blocks[*number].runs);
            assert!(data == blocks[*number].data);
            assert_eq!(reader.read_runs(entry).unwrap().runs, blocks[*number].runs);
            let at = usize::try_from(entry.data_at()).unwrap();
            assert!(image[at..].starts_with(&data), "data can be mapped from its place");
        }
    }
    let mut last = (0, 0);
    let verified = reader.verify(&mut |done, total| last = (done, total)).unwrap();
    let bytes = image.len() as u64;
    assert_eq!(verified, Verified { bytes, blocks: 4, page_bytes: 5 * 4096 });
    assert_eq!(last, (bytes, bytes));
}

#[test]
fn a_pipe_carries_the_same_bytes_both_ways() {
    let blocks = sample_blocks();
    let (mut reader, writer) = std::io::pipe().unwrap();
    let piped = thread::spawn(move || {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).unwrap();
        bytes
    });
    let writer = Writer::begin(File::from(std::os::fd::OwnedFd::from(writer)), &sample()).unwrap();
    for block in &blocks {
        writer.put(block.space, &block.runs, &block.data).unwrap();
    }
    let total = writer.bytes_written();
    let (saved, file) = writer.finish().unwrap();
    assert_eq!(saved.bytes, total + 3 * 4096, "two pages of index and the trailer are left");
    drop(file);
    let image = piped.join().unwrap();
    assert_eq!(image.len() as u64, saved.bytes);
    for (snapshot, found) in [through_pipe(&image, read_all).unwrap(), read_all(file_of(&image)).unwrap()] {
        assert_eq!(snapshot, sample());
        assert_equal(&found, &blocks);
    }
    let verified = through_pipe(&image, |file| Reader::open(file).unwrap().verify(&mut |_, _| ()).unwrap());
    assert_eq!(verified, Verified { bytes: saved.bytes, blocks: 4, page_bytes: 5 * 4096 });
}

#[test]
fn several_threads_write_one_file_or_one_pipe() {
    let blocks: Vec<Put> = (0..40).map(|n| put(Space::Memory(n % 2), &[(1 + 40 * u64::from(n), 20 + n / 3, RunKind::Data)])).collect();
    let write = |file: File| {
        let writer = Writer::begin(file, &sample()).unwrap();
        thread::scope(|scope| {
            for part in blocks.chunks(10) {
                let writer = &writer;
                scope.spawn(move || {
                    part.iter().for_each(|block| writer.put(block.space, &block.runs, &block.data).unwrap());
                });
            }
        });
        writer.finish().unwrap()
    };
    let check = |found: Vec<Put>| {
        let by_page: HashMap<u64, &Put> = blocks.iter().map(|block| (block.runs[0].page, block)).collect();
        let expected: Vec<&Put> = found.iter().map(|block| by_page[&block.runs[0].page]).collect();
        assert_eq!(found.len(), 40);
        assert!(found.iter().zip(expected).all(|(found, block)| found.data == block.data));
    };
    let (saved, file) = write(tempfile::tempfile().unwrap());
    check(read_all(file_of(&bytes_of(file, saved.bytes))).unwrap().1);
    let (reader, writer) = std::io::pipe().unwrap();
    let reading = thread::spawn(move || read_all(File::from(std::os::fd::OwnedFd::from(reader))).unwrap().1);
    drop(write(File::from(std::os::fd::OwnedFd::from(writer))));
    check(reading.join().unwrap());
}

#[test]
fn an_open_file_is_used_as_it_stands() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("context");
    // (what was there, opened to append, position; what stands before the image)
    for (before, append, position, kept) in [(0, false, 0, 0), (999_999, false, 0, 0), (50, true, 0, 50), (50, false, 20, 20)] {
        std::fs::write(&path, vec![b'x'; before]).unwrap();
        let mut file = OpenOptions::new().read(true).write(!append).append(append).open(&path).unwrap();
        file.seek(SeekFrom::Start(position)).unwrap();
        let writer = Writer::begin(file, &sample()).unwrap();
        let block = &sample_blocks()[0];
        writer.put(block.space, &block.runs, &block.data).unwrap();
        let (saved, mut file) = writer.finish().unwrap();
        assert_eq!(file.stream_position().unwrap(), kept + saved.bytes, "what is written next comes after it");
        assert_eq!(std::fs::metadata(&path).unwrap().len(), kept + saved.bytes);
        let mut file = File::open(&path).unwrap();
        file.seek(SeekFrom::Start(kept)).unwrap();
        let (_, found) = read_all(file).unwrap();
        assert_equal(&found, &sample_blocks()[..1]);
    }
}

#[test]
fn a_job_without_pages_and_one_of_a_million_descriptors() {
    let mut snapshot = sample();
    let (_, blocks) = read_all(file_of(&image(&snapshot, &[]))).unwrap();
    assert!(blocks.is_empty());
    snapshot.tables[0].descriptors = (0..1_000_000).map(|fd| Descriptor { fd, cloexec: false, description: 0 }).collect();
    let (found, _) = through_pipe(&image(&snapshot, &[]), read_all).unwrap();
    assert_eq!(found.tables[0].descriptors.len(), 1_000_000);
}

#[test]
fn devices_swallow_an_image() {
    let null = OpenOptions::new().write(true).open("/dev/null").unwrap();
    let writer = Writer::begin(null, &sample()).unwrap();
    writer.put(Space::Memory(0), &[Run { page: 1, count: 1, kind: RunKind::Data }], &[0; 4096]).unwrap();
    writer.finish().unwrap();
}

#[test]
fn a_failed_write_spoils_the_rest() {
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let error = Writer::begin(full, &sample()).err().unwrap();
    assert_eq!(crate::error::Classified::errno(&error), Some(libc::ENOSPC));

    let (reader, writer) = std::io::pipe().unwrap();
    let reading = thread::spawn(move || Reader::open(File::from(std::os::fd::OwnedFd::from(reader))).map(drop));
    let writer = Writer::begin(File::from(std::os::fd::OwnedFd::from(writer)), &sample()).unwrap();
    reading.join().unwrap().unwrap();
    let block = &sample_blocks()[0];
    let error = writer.put(block.space, &block.runs, &block.data).unwrap_err();
    assert_eq!(error.to_string(), "cannot write the context file: its reader has gone away");
    assert!(matches!(writer.put(block.space, &block.runs, &block.data), Err(ImageError::Spoiled)));
    assert!(matches!(writer.finish(), Err(ImageError::Spoiled)));
}

#[test]
fn pages_the_description_does_not_have_are_not_written() {
    let writer = Writer::begin(tempfile::tempfile().unwrap(), &sample()).unwrap();
    let run = |page, count, kind| [Run { page, count, kind }];
    for (space, runs, bytes) in [
        (Space::Memory(2), run(0, 1, RunKind::Zero), 0),
        (Space::Memory(0), run(0, 1, RunKind::Same), 0),
        (Space::Object(0), run(0, 1, RunKind::Zero), 0),
        (Space::Object(1), run(2, 2, RunKind::Zero), 0),
        (Space::Object(1), run(0, 1, RunKind::Same), 0),
        (Space::Memory(0), run(0, 1, RunKind::Data), 4095),
        (Space::Memory(0), run(0, 257, RunKind::Data), 255 * 4096),
    ] {
        let error = writer.put(space, &runs, &vec![0; bytes]).unwrap_err();
        assert!(matches!(error, ImageError::Inconsistent { .. }), "{space} {runs:?}: {error}");
    }
    assert_eq!(writer.finish().unwrap().0.blocks, 0);
}

fn time_until(until: std::time::Instant) -> crate::image::TimeLeft {
    Box::new(move || Some(until.saturating_duration_since(std::time::Instant::now())))
}

#[test]
fn a_reader_that_does_not_read_is_waited_for_until_the_time_is_over() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let until = std::time::Instant::now() + std::time::Duration::from_millis(50);
    let writer = Writer::begin_until(File::from(writer), &sample(), time_until(until)).unwrap();
    let data = vec![7; 256 * PAGE_BYTES];
    let run = Run { page: 0x1, count: 255, kind: RunKind::Data };
    let error = writer.put(Space::Memory(0), &[run], &data[..255 * PAGE_BYTES]).unwrap_err();
    assert!(matches!(error, ImageError::TimeOver), "{error}");
    assert!(matches!(writer.finish().err(), Some(ImageError::Spoiled)));
    drop(reader);
}

#[test]
fn a_slow_reader_gets_everything_within_its_time() {
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let read = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        File::from(reader).read_to_end(&mut bytes).map(|_| bytes)
    });
    let until = std::time::Instant::now() + std::time::Duration::from_secs(600);
    let writer = Writer::begin_until(File::from(writer), &sample(), time_until(until)).unwrap();
    let (saved, file) = writer.finish().unwrap();
    drop(file);
    assert_eq!(read.join().unwrap().unwrap().len() as u64, saved.bytes);
}
