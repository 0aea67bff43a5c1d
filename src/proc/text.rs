//! Small tools for taking apart the kernel's text: lines, words, numbers, escapes. Bytes in, bytes out.
//!
//! Relies on nothing. Numbers are checked: an overflow or a stray character is [`Malformed`], never a wrong value.

use std::io::BufRead;

use super::error::Malformed;

/// The lines of a text with their numbers from 1, without the newline.
pub(super) fn lines(text: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut rest = text;
    let lines = std::iter::from_fn(move || {
        let text = rest;
        // The quickest search for a byte in the standard library; on a slice it cannot fail.
        let n_bytes = rest.skip_until(b'\n').unwrap_or(0);
        (n_bytes > 0).then(|| text[..n_bytes].strip_suffix(b"\n").unwrap_or(text))
    });
    lines.enumerate().map(|(at, line)| (at + 1, line))
}

/// A number without a sign in this radix; `None` when it is empty, has a stray character or does not fit.
pub(super) fn unsigned<T: TryFrom<u64>>(digits: &[u8], radix: u32) -> Option<T> {
    let mut value: u64 = if digits.is_empty() { return None } else { 0 };
    for &digit in digits {
        let digit = char::from(digit).to_digit(radix)?;
        value = value.checked_mul(u64::from(radix))?.checked_add(u64::from(digit))?;
    }
    T::try_from(value).ok()
}

/// A decimal number that may be negative.
pub(super) fn signed<T: TryFrom<i64>>(digits: &[u8]) -> Option<T> {
    let value = match digits.strip_prefix(b"-") {
        Some(digits) => 0_i64.checked_sub_unsigned(unsigned(digits, 10)?)?,
        None => unsigned(digits, 10)?,
    };
    T::try_from(value).ok()
}

/// Splits `key: value` at the first colon; blanks around the value are dropped.
pub(super) fn key_value(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|&byte| byte == b':')?;
    Some((&line[..colon], line[colon + 1..].trim_ascii()))
}

/// Undoes the kernel's octal escapes (`\040`) of the given characters and leaves every other backslash alone.
pub(super) fn unescape(text: &[u8], escaped: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        let code = (byte == b'\\').then(|| tail.get(..3).and_then(|digits| unsigned::<u8>(digits, 8))).flatten();
        match code {
            Some(code) if escaped.contains(&code) => {
                plain.push(code);
                rest = &tail[3..];
            }
            _ => {
                plain.push(byte);
                rest = tail;
            }
        }
    }
    plain
}

/// The words of one line, taken from the left.
#[derive(Debug, Clone, Copy)]
pub(super) struct Words<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Words<'a> {
    /// The words of line number `line`.
    pub(super) fn new(line: usize, text: &'a [u8]) -> Words<'a> {
        Words { rest: text, line }
    }

    /// The complaint about what should have come next.
    pub(super) fn expected(&self, expected: &'static str) -> Malformed {
        Malformed { line: self.line, expected }
    }

    /// The next word, if there is one.
    pub(super) fn peek(&self) -> Option<&'a [u8]> {
        let mut ahead = *self;
        ahead.next()
    }

    /// What follows the words taken so far, without the blanks in front.
    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest.trim_ascii_start()
    }

    /// The next word.
    pub(super) fn word(&mut self, expected: &'static str) -> Result<&'a [u8], Malformed> {
        self.next().ok_or(Malformed { line: self.line, expected })
    }

    /// The next word as a number without a sign.
    pub(super) fn unsigned<T: TryFrom<u64>>(&mut self, radix: u32, expected: &'static str) -> Result<T, Malformed> {
        let word = self.word(expected)?;
        unsigned(word, radix).ok_or(self.expected(expected))
    }

    /// The next word as a decimal number that may be negative.
    pub(super) fn signed<T: TryFrom<i64>>(&mut self, expected: &'static str) -> Result<T, Malformed> {
        let word = self.word(expected)?;
        signed(word).ok_or(self.expected(expected))
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let text = self.rest.trim_ascii_start();
        let end = text.iter().position(u8::is_ascii_whitespace).unwrap_or(text.len());
        let (word, rest) = text.split_at(end);
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }
}

/// Parses every beginning of a recorded text: none may panic, whatever the verdict.
#[cfg(test)]
pub(super) fn survives_cuts<T, E>(text: &[u8], parse: impl Fn(&[u8]) -> Result<T, E>) {
    for end in 0..text.len() {
        let _ = parse(&text[..end]);
        let mut damaged = text[..=end].to_vec();
        damaged[end] = 0xff;
        let _ = parse(&damaged);
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn numbers_are_checked() {
        assert_eq!(unsigned::<u64>(b"ffffffffff600000", 16), Some(0xffff_ffff_ff60_0000));
        assert_eq!(unsigned::<u64>(b"18446744073709551616", 10), None, "one too many");
        assert_eq!(unsigned::<u8>(b"256", 10), None);
        assert_eq!(unsigned::<u32>(b"", 10), None);
        assert_eq!(unsigned::<u32>(b"8", 8), None);
        assert_eq!(signed::<i64>(b"-9223372036854775808"), Some(i64::MIN));
        assert_eq!(signed::<i32>(b"-"), None);
        assert_eq!(signed::<i32>(b"--1"), None);
    }

    #[test]
    fn only_the_named_characters_are_unescaped() {
        assert_eq!(unescape(br"a\012b\040c\\", b"\n"), b"a\nb\\040c\\\\");
        assert_eq!(unescape(br"\134\040\04", b"\\ "), b"\\ \\04");
    }

    #[test]
    fn lines_are_numbered_from_one_and_may_lack_the_last_newline() {
        let numbered = |text| lines(text).collect::<Vec<_>>();
        assert_eq!(numbered(b""), vec![]);
        assert_eq!(numbered(b"a\n\nb"), vec![(1, &b"a"[..]), (2, b""), (3, b"b")]);
        assert_eq!(numbered(b"a\n"), vec![(1, &b"a"[..])]);
    }

    #[test]
    fn words_are_taken_from_the_left() {
        let mut words = Words::new(4, b"  1 ab\tend of line ");
        assert_eq!(words.unsigned::<u32>(10, "one"), Ok(1));
        assert_eq!(words.peek(), Some(&b"ab"[..]));
        assert_eq!(words.signed::<i32>("a number"), Err(Malformed { line: 4, expected: "a number" }));
        assert_eq!(words.rest(), b"end of line ");
    }
}
