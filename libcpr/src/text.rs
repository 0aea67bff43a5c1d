//! Text in buffers of fixed size, ended by a NUL, as C has it. Allocates nothing.

use core::ffi::CStr;

/// A text of at most `N` bytes with its NUL. What does not fit makes it invalid.
pub struct Text<const N: usize> {
    bytes: [u8; N],
    length: usize,
    fits: bool,
}

impl<const N: usize> Text<N> {
    /// Nothing.
    pub const fn new() -> Text<N> {
        Text { bytes: [0; N], length: 0, fits: true }
    }

    /// Adds bytes.
    pub fn add(mut self, more: &[u8]) -> Text<N> {
        let end = self.length + more.len();
        self.fits &= end < N;
        if self.fits {
            self.bytes[self.length..end].copy_from_slice(more);
            self.length = end;
        }
        self
    }

    /// Adds a number in hexadecimal digits after `0x`.
    pub fn hexadecimal(self, number: u64) -> Text<N> {
        let mut digits = [0u8; 16];
        for (place, digit) in digits.iter_mut().rev().enumerate() {
            let nibble = usize::try_from(number >> (4 * place) & 15).unwrap_or(0);
            *digit = b"0123456789abcdef"[nibble];
        }
        let first = digits.iter().position(|digit| *digit != b'0').unwrap_or(15);
        self.add(b"0x").add(&digits[first..])
    }

    /// The text, if it fits and has no NUL in it.
    pub fn as_c(&self) -> Option<&CStr> {
        CStr::from_bytes_until_nul(&self.bytes).ok().filter(|text| self.fits && text.to_bytes().len() == self.length)
    }
}

/// A decimal number with a sign or without.
pub fn number(digits: &[u8]) -> Option<i64> {
    let (is_negative, digits) = match digits {
        [b'-', rest @ ..] => (true, rest),
        digits => (false, digits),
    };
    let step = |sum: Option<i64>, digit: &u8| {
        let digit = i64::from(digit.checked_sub(b'0').filter(|digit| *digit < 10)?);
        sum?.checked_mul(10)?.checked_add(digit)
    };
    let sum = if digits.is_empty() { None } else { digits.iter().fold(Some(0), step) };
    sum.map(|sum| if is_negative { -sum } else { sum })
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn texts_fit_or_are_none() {
        assert_eq!(Text::<16>::new().hexadecimal(0x8000_abcd).add(b":ASH").as_c(), Some(c"0x8000abcd:ASH"));
        assert_eq!(Text::<16>::new().hexadecimal(0).as_c(), Some(c"0x0"));
        assert_eq!(Text::<4>::new().add(b"abc").as_c(), Some(c"abc"));
        assert_eq!(Text::<4>::new().add(b"abcd").as_c(), None);
    }

    #[test]
    fn numbers() {
        for (digits, expected) in
            [("0", Some(0)), ("-12", Some(-12)), ("", None), ("-", None), ("1x", None), ("99999999999999999999", None)]
        {
            assert_eq!(number(digits.as_bytes()), expected, "{digits}");
        }
    }
}
