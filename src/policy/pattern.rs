//! Patterns over paths and names, as scripts, `--file` and attribute files write them: `*` within one path component, `**` across
//! components, `?`, `[a-z]`, `{a,b}`.
//!
//! Relies on globset, with these rules switched on; a pattern without any of these characters is the text itself.

use globset::{GlobBuilder, GlobMatcher};

/// A pattern.
#[derive(Debug, Clone)]
pub struct Pattern {
    text: String,
    matcher: GlobMatcher,
}

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
        let glob = GlobBuilder::new(text).literal_separator(is_path).backslash_escape(true).build();
        let glob = glob.map_err(|error| BadPattern { text: text.to_owned(), why: error.kind().to_string() })?;
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
    fn a_bad_pattern_is_quoted_with_the_reason() {
        let error = Pattern::path("/tmp/[a").unwrap_err().to_string();
        assert!(error.starts_with("'/tmp/[a' is not a pattern: "), "{error}");
    }
}
