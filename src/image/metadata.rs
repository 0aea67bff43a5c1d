//! The description of the job as bytes: MessagePack with field names, encoded and decoded as it flows.
//!
//! Relies on rmp-serde. It is encoded twice, once to learn length and checksum (which stand before it) and once into the file, so
//! that the memory of the tools does not grow with the job. Leaves framing and padding to `save` and `load`.

use std::io::{self, BufReader, BufWriter, Read, Write};

use serde::{Deserialize, Serialize};

use super::checksum::Running;
use super::error::ImageError;
use super::snapshot::Snapshot;
use super::source::Source;

/// Bytes that are collected before they are passed on.
const BUFFER_BYTES: usize = 64 << 10;

/// Length in bytes and checksum of the encoded description.
pub(super) fn measure(snapshot: &Snapshot) -> Result<(u64, u64), ImageError> {
    let (mut bytes, mut crc) = (0, Running::default());
    encode(snapshot, |piece| {
        bytes += piece.len() as u64;
        crc.add(piece);
        Ok(())
    })?;
    Ok((bytes, crc.value()))
}

/// Encodes the description and hands it over piece by piece.
pub(super) fn encode(snapshot: &Snapshot, pour: impl FnMut(&[u8]) -> Result<(), ImageError>) -> Result<(), ImageError> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, Pour { pour, failed: None });
    let encoded = snapshot.serialize(&mut rmp_serde::Serializer::new(&mut out).with_struct_map());
    // A piece that cannot be poured fails the flush; its own error says more and is taken first.
    let _ = out.flush();
    let failed = out.get_mut().failed.take();
    drop(out.into_parts());
    match (failed, encoded) {
        (Some(error), _) => Err(error),
        (None, encoded) => encoded.map_err(|source| ImageError::Encode { source }),
    }
}

/// Lets a closure with errors of its own stand behind `Write`.
struct Pour<F> {
    pour: F,
    failed: Option<ImageError>,
}

impl<F: FnMut(&[u8]) -> Result<(), ImageError>> Write for Pour<F> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.failed.is_none() {
            self.failed = (self.pour)(piece).err();
        }
        if self.failed.is_some() { Err(io::ErrorKind::Other.into()) } else { Ok(piece.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Decodes the description from the next `bytes` bytes of `source`, which must have the checksum `crc`. A wrong checksum is reported
/// before whatever the decoder makes of the damaged bytes.
pub(super) fn decode(source: &mut Source, bytes: u64, crc: u64) -> Result<Snapshot, ImageError> {
    let at = source.position();
    let mut section = Section { source, left: bytes, crc: Running::default(), failed: None };
    let mut buffered = BufReader::with_capacity(BUFFER_BYTES, &mut section);
    let decoded = Snapshot::deserialize(&mut rmp_serde::Deserializer::new(&mut buffered));
    let unread = io::copy(&mut buffered, &mut io::sink());
    if let Some(error) = section.failed {
        return Err(error);
    }
    if section.crc.value() != crc {
        return Err(ImageError::Damaged { what: "the checksum of the description does not match", at });
    }
    let snapshot = decoded.map_err(|source| ImageError::Decode { source })?;
    match unread {
        Ok(0) => Ok(snapshot),
        _ => Err(ImageError::inconsistent("there are bytes after the end of the description")),
    }
}

/// A part of the source, checksummed as it is read.
struct Section<'a> {
    source: &'a mut Source,
    left: u64,
    crc: Running,
    failed: Option<ImageError>,
}

impl Read for Section<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let wanted = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        if wanted == 0 || self.failed.is_some() {
            return Ok(0);
        }
        match self.source.read(&mut buffer[..wanted], "inside the description") {
            Ok(()) => {
                self.crc.add(&buffer[..wanted]);
                self.left -= wanted as u64;
                Ok(wanted)
            }
            Err(error) => {
                self.failed = Some(error);
                Ok(0)
            }
        }
    }
}
