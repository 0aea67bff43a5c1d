//! A damaged context file is refused with a typed error, whatever the damage: never a panic, never a wrong page.

use std::os::unix::fs::FileExt;

use super::*;
use crate::error::{Class, Classified};

/// What reading everything says, by file and by pipe. A file is verified block by block too.
fn refusals(image: &[u8]) -> [Option<ImageError>; 3] {
    let verify = |file| Reader::open(file)?.verify(&mut |_, _| ());
    [verify(file_of(image)).err(), read_all(file_of(image)).err(), through_pipe(image, read_all).err()]
}

fn assert_refused(image: &[u8], what: impl Fn() -> String) {
    for error in refusals(image) {
        let error = error.unwrap_or_else(|| panic!("{} was not noticed", what()));
        assert_eq!(error.class(), Class::Perm, "{}: {error}", what());
        assert!(matches!(error.errno(), Some(libc::EIO | libc::EINVAL | CR_EBADARCH)), "{}: {error}", what());
    }
}

/// Flips a bit of the byte at `at` in `file`, reads everything, and puts the byte back.
fn assert_flip_is_noticed(file: &File, image: &[u8], at: usize) {
    let flipped = image[at] ^ (1 << (at % 8));
    file.write_all_at(&[flipped], at as u64).unwrap();
    let read = Reader::open(file.try_clone().unwrap()).and_then(|mut reader| {
        let mut data = Vec::new();
        while reader.next_block(&mut data)?.is_some() {}
        Ok(())
    });
    assert!(read.is_err(), "the byte at {at}");
    file.write_all_at(&image[at..=at], at as u64).unwrap();
}

#[test]
fn every_flipped_byte_is_noticed() {
    let mut image = image(&sample(), &sample_blocks());
    assert!(refusals(&image).iter().all(Option::is_none));
    std::thread::scope(|scope| {
        for first in 0..2 {
            let image = &image;
            scope.spawn(move || {
                let file = file_of(image);
                (first..image.len()).step_by(2).for_each(|at| assert_flip_is_noticed(&file, image, at));
            });
        }
    });
    // Pipes and threads are slow: every 97th byte meets all of them.
    for at in (0..image.len()).step_by(97) {
        image[at] ^= 0x10;
        assert_refused(&image, || format!("the byte at {at}"));
        image[at] ^= 0x10;
    }
}

#[test]
fn every_truncation_is_noticed() {
    let image = image(&sample(), &sample_blocks());
    let odd = [1, 20, 31, 33, 4095, 4097, 5000, image.len() - 1, image.len() - 4095];
    for len in (0..image.len()).step_by(4096).chain(odd) {
        assert_refused(&image[..len], || format!("the first {len} bytes"));
    }
}

#[test]
fn whatever_is_appended_is_noticed() {
    let whole = image(&sample(), &sample_blocks());
    for tail in [vec![0], vec![0; 4096], whole.clone(), whole[whole.len() - 4096..].to_vec()] {
        let longer = [&whole[..], &tail].concat();
        assert_refused(&longer, || format!("{} more bytes", tail.len()));
    }
}

#[test]
fn pages_in_a_wrong_place_are_noticed() {
    let whole = image(&sample(), &sample_blocks());
    let other = image(&sample(), &sample_blocks());
    assert_eq!(whole.len(), other.len());
    let pages = whole.len() / 4096;
    let page = |n: usize| n * 4096..(n + 1) * 4096;
    for n in 0..pages {
        let same = whole[page(n)] == other[page(n)];
        let mut spliced = whole.clone();
        spliced[page(n)].copy_from_slice(&other[page(n)]);
        assert!(same || refusals(&spliced).iter().all(Option::is_some), "page {n} of another file");
        let removed = [&whole[..page(n).start], &whole[page(n).end..]].concat();
        assert_refused(&removed, || format!("page {n} removed"));
        let doubled = [&whole[..page(n).end], &whole[page(n).start..]].concat();
        assert_refused(&doubled, || format!("page {n} doubled"));
        if n + 1 < pages && whole[page(n)] != whole[page(n + 1)] {
            let mut swapped = whole.clone();
            swapped[page(n)].copy_from_slice(&whole[page(n + 1)]);
            swapped[page(n + 1)].copy_from_slice(&whole[page(n)]);
            assert_refused(&swapped, || format!("pages {n} and its next swapped"));
        }
    }
}

#[test]
fn blocks_exchanged_doubled_or_left_out_are_noticed() {
    // Two blocks of the same size, so that only what they say of themselves tells.
    let twins = [put(Space::Memory(0), &[(1, 1, RunKind::Data)]), put(Space::Memory(0), &[(9, 1, RunKind::Data)])];
    let whole = image(&sample(), &twins);
    let find = |magic: &[u8]| whole.chunks(4096).position(|page| page.starts_with(magic)).unwrap() * 4096;
    let (first, index) = (find(b"RprBlock"), find(b"RprIndex"));
    let (before, one, two, after) = (&whole[..first], &whole[first..first + 8192], &whole[first + 8192..index], &whole[index..]);
    assert_refused(&[before, two, one, after].concat(), || "exchanged".into());
    assert_refused(&[before, one, one, after].concat(), || "doubled".into());
    assert_refused(&[before, one, after].concat(), || "left out".into());
    assert_refused(&[before, one, two, one, after].concat(), || "added".into());
}

#[test]
fn foreign_files_are_told_apart_from_damaged_ones() {
    for foreign in [&b""[..], b"x", b"#!/bin/sh\n", &[0; 4096], &[0xff; 10_000]] {
        let error = Reader::open(file_of(foreign)).err().unwrap();
        assert!(matches!(error, ImageError::NotAContextFile { .. }), "{error}");
    }
    let null = Reader::open(File::open("/dev/null").unwrap()).err().unwrap();
    assert_eq!(null.to_string(), "not a context file: it is empty");
    assert_eq!((null.class(), null.errno()), (Class::Perm, Some(libc::EINVAL)));
    let directory = Reader::open(File::open("/").unwrap()).err().unwrap();
    assert_eq!((directory.class(), directory.errno()), (Class::Env, Some(libc::EISDIR)));
}

#[test]
fn an_error_is_never_followed_by_success() {
    let mut whole = image(&sample(), &sample_blocks());
    let at = whole.chunks(4096).position(|page| page.starts_with(b"RprBlock")).unwrap() * 4096 + 4096;
    whole[at] ^= 1;
    let mut reader = Reader::open(file_of(&whole)).unwrap();
    assert!(reader.next_block(&mut Vec::new()).is_err());
    assert!(reader.next_block(&mut Vec::new()).is_err());
}

#[test]
fn a_lying_length_costs_no_memory() {
    let whole = image(&sample(), &sample_blocks());
    let mut header = super::super::layout::Header::from_page(whole.first_chunk().unwrap()).unwrap();
    header.metadata_bytes = u64::MAX;
    let lying = [&header.to_page()[..], &whole[4096..]].concat();
    assert_refused(&lying, || "a description of 16 EiB".into());
}
