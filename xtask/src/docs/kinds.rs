//! docs/kinds.md: the reference page of kinds, made from the heads of their files.
//!
//! A head says in one line what the kind is, and then what is kept, lost and refused. Relies on those three words, each followed by a colon; leaves
//! prose to the other pages of `docs/`.

use std::collections::BTreeMap;

use crate::tidy::source::Source;

/// The page that is made.
pub const PAGE: &str = "docs/kinds.md";
const WORDS: [&str; 3] = ["Kept", "Lost", "Refused"];
const INTRODUCTION: &str = "\
# Kinds

What Reprise does with each sort of thing that a job can have: what is kept, what is lost (and then said), and what makes
a checkpoint or a restart be refused. Made by `cargo xtask docs` from the heads of the files in `src/resource/`.
";

/// What the head of a file says.
pub struct Section {
    name: String,
    group: String,
    line: String,
    parts: BTreeMap<&'static str, String>,
}

/// The page as it must be now.
pub fn page(sources: &[Source]) -> String {
    let heads = sources.iter().filter(|source| source.is_under("src/resource")).map(Section::of);
    let mut sections: Vec<Section> = heads.filter(|section| section.missing().is_empty()).collect();
    sections.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
    let mut text = INTRODUCTION.to_owned();
    for section in sections {
        text += &format!("\n## {}\n\n{}\n\n", section.name, section.line);
        for word in WORDS {
            text += &format!("- **{word}:** {}\n", section.parts[word]);
        }
    }
    text
}

impl Section {
    /// Reads the head of a file.
    pub fn of(source: &Source) -> Section {
        let head = source.text.lines().map_while(|line| line.strip_prefix("//!"));
        let mut lines = head.map(|line| line.trim().replace("**", "").replace("[`", "`").replace("`]", "`"));
        let line = lines.next().unwrap_or_default();
        let rest = lines.collect::<Vec<_>>().join(" ");
        let path = source.path.with_extension("");
        let words: Vec<&str> = path.iter().filter_map(|word| word.to_str()).filter(|word| *word != "mod").collect();
        let name = words.last().copied().unwrap_or_default().to_owned();
        let group = words.iter().rev().nth(1).copied().unwrap_or_default().to_owned();
        let parts = WORDS.into_iter().filter_map(|word| Some((word, part(&rest, word)?))).collect();
        Section { name, group, line, parts }
    }

    /// Which of the three words the head leaves out.
    pub fn missing(&self) -> Vec<&'static str> {
        WORDS.into_iter().filter(|word| !self.parts.contains_key(word)).collect()
    }
}

/// The text from one of the words to the next.
fn part(text: &str, word: &str) -> Option<String> {
    let (_, rest) = text.split_once(&format!("{word}:"))?;
    let end = WORDS.iter().filter_map(|other| rest.find(&format!("{other}:"))).min();
    Some(rest[..end.unwrap_or(rest.len())].trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_becomes_a_section() {
        let text = "//! Pipes.\n//!\n//! **Kept:** data,\n//! flags.\n//! Lost: nothing. Refused: [`x`].\n\nuse y;\n";
        let source = Source { path: "src/resource/file/pipe.rs".into(), text: text.to_owned() };
        let made = page(&[source]);
        assert!(made.ends_with("## pipe\n\nPipes.\n\n- **Kept:** data, flags.\n- **Lost:** nothing.\n- **Refused:** `x`.\n"), "{made}");
    }
}
