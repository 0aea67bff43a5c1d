//! Text for messages: what scripts say is made printable, and misspelled words get a suggestion.
//!
//! Pure.

/// The most characters of a message from a script: from its beginning and from its end.
const HEAD: usize = 3000;
const TAIL: usize = 1000;

/// Text that can be shown on a terminal: valid UTF-8, control characters escaped, the middle of a long one left out.
pub fn printable(bytes: &[u8]) -> String {
    // What is left out is not even looked at: a script may say very much.
    const LONGEST: usize = 4 * (HEAD + TAIL);
    if bytes.len() > LONGEST {
        let (head, tail) = (&bytes[..4 * HEAD], &bytes[bytes.len() - 4 * TAIL..]);
        let (head, tail) = (String::from_utf8_lossy(head), String::from_utf8_lossy(tail));
        let last = tail.chars().count().saturating_sub(TAIL);
        return format!("{}…{}", shown(head.chars().take(HEAD)), shown(tail.chars().skip(last)));
    }
    let text = String::from_utf8_lossy(bytes);
    let count = text.chars().count();
    if count <= HEAD + TAIL {
        return shown(text.chars());
    }
    format!("{}…{}", shown(text.chars().take(HEAD)), shown(text.chars().skip(count - TAIL)))
}

fn shown(characters: impl Iterator<Item = char>) -> String {
    let mut shown = String::new();
    for character in characters {
        match character {
            '\t' => shown.push(' '),
            hidden if hidden.is_control() || is_direction(hidden) => shown.extend(hidden.escape_default()),
            character => shown.push(character),
        }
    }
    shown
}

/// Marks that change the direction of the text around them, and so could hide it.
fn is_direction(character: char) -> bool {
    matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// What was not known, what is, and what was probably meant: `'pth' … (known: path, pid; did you mean 'path'?)`.
pub fn known<'a>(word: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    let words: Vec<&str> = words.into_iter().collect();
    let nearest = words.iter().map(|known| (distance(word, known), known)).min();
    let guess = match nearest {
        Some((distance, known)) if distance <= 1 + known.chars().count() / 4 => format!("; did you mean '{known}'?"),
        _ => String::new(),
    };
    format!("(known: {}{guess})", words.join(", "))
}

/// Number of single changes (insert, remove, replace, swap neighbors) between two words; long words are not compared.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().take(64).collect(), b.chars().take(64).collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for i in 1..=a.len() {
        let mut row = vec![i];
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut least = replaced.min(rows[i - 1][j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                least = least.min(rows[i - 2][j - 2] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn what_scripts_say_cannot_disturb_a_terminal() {
        for (given, shown) in [
            (&b"plain \xc3\xa9"[..], "plain é"),
            (b"a\x1b[2Jb", "a\\u{1b}[2Jb"),
            (b"two\nlines\r", "two\\nlines\\r"),
            (b"\xff\xfe", "\u{fffd}\u{fffd}"),
            ("a\u{202e}b\u{9b}".as_bytes(), "a\\u{202e}b\\u{9b}"),
        ] {
            assert_eq!(printable(given), shown);
        }
        let long = printable(format!("head{}tail", "x".repeat(1 << 20)).as_bytes());
        assert_eq!(long.chars().count(), HEAD + 1 + TAIL);
        assert!(long.starts_with("head") && long.ends_with("tail"));
    }

    #[test]
    fn a_misspelled_word_gets_a_suggestion() {
        for (word, suggested) in [("pth", true), ("apth", true), ("paths", true), ("inode", false), ("", false)] {
            let text = known(word, ["path", "pid_of_all"]);
            assert_eq!(text.contains("did you mean 'path'?"), suggested, "{word}: {text}");
            assert!(text.starts_with("(known: path, pid_of_all"), "{text}");
        }
    }
}
