//! The one checksum of context files: CRC-64/NVME.
//!
//! Relies on crc-fast, which picks the widest carry-less multiplication the processor has at run time.
//! A CRC finds accidents (it finds every burst of up to 64 bits); it does not protect from forgery.

use crc_fast::{CrcAlgorithm, Digest};

/// CRC-64/NVME of `bytes`.
pub fn checksum(bytes: &[u8]) -> u64 {
    crc_fast::checksum(CrcAlgorithm::Crc64Nvme, bytes)
}

/// A checksum of bytes that come in pieces.
pub struct Running(Digest);

impl Default for Running {
    fn default() -> Running {
        Running(Digest::new(CrcAlgorithm::Crc64Nvme))
    }
}

impl Running {
    /// Adds the next piece.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The checksum of all pieces so far.
    pub fn value(&self) -> u64 {
        self.0.finalize()
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn the_check_value_of_the_catalogue_comes_out() {
        assert_eq!(checksum(b"123456789"), 0xae8b_1486_0a79_9888);
    }

    #[test]
    fn pieces_give_the_same_as_the_whole() {
        let bytes: Vec<u8> = (0..10_000u32).map(|n| n.to_le_bytes()[0]).collect();
        let mut running = Running::default();
        bytes.chunks(333).for_each(|piece| running.add(piece));
        assert_eq!(running.value(), checksum(&bytes));
    }
}
