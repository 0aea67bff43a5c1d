//! Patterns over paths and names, as scripts, `--file` and attribute files write them: `*` within one path component, `**` across
//! components, `?`, `[a-z]`, `{a,b}`.
//!
//! Relies on globset, with these rules switched on; a pattern without any of these characters is the text itself. Length and depth are limited, so
//! that what globset makes of a pattern is always of moderate size.

use globset::{GlobBuilder, GlobMatcher};

/// A pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    matcher: GlobMatcher,
}

/// The longest pattern, bytes: as long as the longest path.
const LONGEST: usize = 4096;
/// Characters of a pattern that are more than themselves.
const MOST_WILDCARDS: usize = 256;
/// Braces within braces.
const DEEPEST: usize = 8;
/// Bytes of a pattern in messages.
const QUOTED: usize = 200;

/// A pattern that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is not a pattern: {why}")]
pub struct BadPattern {
    text: String,
    why: String,
}

impl Pattern {
    /// A pattern over paths: `*` and `?` do not match a slash.
    pub fn path(text: &str) -> Result<Pattern, BadPattern> {
        Pattern::new(text, true)
    }

    /// A pattern over other texts: `*` matches everything.
    pub fn text(text: &str) -> Result<Pattern, BadPattern> {
        Pattern::new(text, false)
    }

    fn new(text: &str, is_path: bool) -> Result<Pattern, BadPattern> {
        let bad = |why: String| BadPattern { text: text.chars().take(QUOTED).collect(), why };
        if text.len() > LONGEST {
            return Err(bad(format!("it has {} bytes; the longest has {LONGEST}", text.len())));
        }
        if depth(text) > DEEPEST {
            return Err(bad(format!("more than {DEEPEST} braces stand inside each other")));
        }
        let wildcards = text.bytes().filter(|byte| b"*?[{,".contains(byte)).count();
        if MOST_WILDCARDS < wildcards {
            return Err(bad(format!("it has {wildcards} wildcards; the most are {MOST_WILDCARDS}")));
        }
        let glob = GlobBuilder::new(text).literal_separator(is_path).backslash_escape(true).build();
        let glob = glob.map_err(|error| bad(error.kind().to_string()))?;
        Ok(Pattern { text: text.to_owned(), matcher: glob.compile_matcher() })
    }

    /// Whether it describes all of `text`.
    pub fn matches(&self, text: &str) -> bool {
        self.matcher.is_match(text)
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// How many braces are open at most.
fn depth(text: &str) -> usize {
    let mut open = 0usize;
    let depths = text.bytes().map(|byte| {
        match byte {
            b'{' => open += 1,
            b'}' => open = open.saturating_sub(1),
            _ => {}
        }
        open
    });
    depths.max().unwrap_or_default()
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Pattern) -> bool {
        self.text == other.text
    }
}

impl Eq for Pattern {}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn stars_stay_within_a_component_and_two_stars_do_not() {
        for (pattern, path, expected) in [
            ("/**/*.log", "/x.log", true),
            ("/**/*.log", "/a/b/x.log", true),
            ("/**/*.log", "/a/x.logs", false),
            ("/tmp/*", "/tmp/a", true),
            ("/tmp/*", "/tmp/a/b", false),
            ("/tmp/**", "/tmp/a/b", true),
            ("/tmp/?", "/tmp/ab", false),
            ("/tmp/[a-c]{x,y}", "/tmp/by", true),
            ("/tmp/a", "/tmp/a", true),
            ("*.log", "/tmp/a.log", false),
            (r"/tmp/\*", "/tmp/*", true),
        ] {
            assert_eq!(Pattern::path(pattern).unwrap().matches(path), expected, "{pattern} {path}");
        }
        assert!(Pattern::text("python3 *").unwrap().matches("python3 /srv/run.py --fast"));
    }

    #[test]
    fn no_pattern_is_too_much_for_the_matcher() {
        for (part, count, why) in [
            ("*", 100_000, "it has 100000 bytes"),
            ("x", 8 << 20, "the longest has 4096"),
            ("{a,", 160, "braces stand inside each other"),
            ("{", 9, "braces stand inside each other"),
        ] {
            let text = part.repeat(count) + &"}".repeat(if part.starts_with('{') { count } else { 0 });
            let error = Pattern::path(&text).unwrap_err().to_string();
            assert!(error.contains(why) && error.len() < 400, "{error}");
        }
        for part in ["*", "?", "**/", "[a-z]", "[!é-ü]", "{a,b}", "{*,?}", "\\*", "é", "[", "{,", "}", "/**", "{*,{?,{[a-c],**}}}"] {
            for text in [part.repeat(4096 / part.len()), part.repeat(256), part.repeat(30), format!("{}{}", part.repeat(8), "}".repeat(8))]
            {
                for pattern in [Pattern::path(&text), Pattern::text(&text)].into_iter().flatten() {
                    pattern.matches(&"a/".repeat(40));
                }
            }
        }
    }

    #[test]
    fn a_bad_pattern_is_quoted_with_the_reason() {
        let error = Pattern::path("/tmp/[a").unwrap_err().to_string();
        assert!(error.starts_with("'/tmp/[a' is not a pattern: "), "{error}");
    }
}
