//! What attribute files say about an id, and why: the text of `cpr --explain`.
//!
//! Pure; the open files of the processes are handed in.

use super::{AtCheckpoint, Attributes, Block, Domain, Found, Id};

/// The text, one line each. `files`: paths that the processes have open.
pub fn explain(attributes: &Attributes, id: Id, files: &[String]) -> Vec<String> {
    let rule = AtCheckpoint::new(attributes.clone(), vec![id]);
    let mut lines = vec![format!("{id}: {}", why(attributes, id))];
    for domain in [Domain::Will, Domain::Fork, Domain::Cdir, Domain::Rdir] {
        let (action, by) = rule.first(domain).map_or((domain.default(), "default".to_owned()), |found| (found.line.action, place(&found)));
        lines.push(format!("  {}  {action:10}  {by}", domain.word()));
    }
    for found in attributes.lines(&[id]).iter().filter(|found| found.line.domain == Domain::File) {
        let pattern = found.line.instance.as_ref().map_or("every file".to_owned(), |pattern| format!("\"{}\"", pattern.as_str()));
        lines.push(format!("  FILE  {:10}  {pattern}, {}", found.line.action, place(found)));
    }
    lines.push(format!("  FILE  {:10}  every other file, default", Domain::File.default()));
    if !files.is_empty() {
        lines.push("open and mapped files".into());
    }
    for path in files {
        let found = rule.file(path);
        let action = found.map_or(Domain::File.default(), |found| found.line.action);
        lines.push(format!("  {action:10}  {path}, {}", found.map_or("default".into(), |found| place(&found))));
    }
    lines
}

fn place(found: &Found<'_>) -> String {
    format!("{}:{}", found.path.display(), found.line.line)
}

fn why(attributes: &Attributes, id: Id) -> String {
    let Some(chosen) = attributes.block(id) else {
        let files: Vec<String> = attributes.0.iter().map(|file| file.path.display().to_string()).collect();
        return if files.is_empty() { "no attribute file".into() } else { format!("no block for it in {}", files.join(", ")) };
    };
    let same_file = attributes.0.iter().find(|file| file.path == chosen.path);
    let matching: Vec<&Block> = same_file.into_iter().flat_map(|file| &file.blocks).filter(|block| block.matches(id)).collect();
    let of = if matching.len() > 1 { format!(", the most specific of {} blocks that match", matching.len()) } else { String::new() };
    format!("{}:{} {}{of}", chosen.path.display(), chosen.block.line, chosen.block.heading())
}

#[cfg(test)]
mod test {
    use super::super::IdType;
    use super::super::test::attributes;
    use super::*;

    #[test]
    fn every_line_says_where_it_comes_from() {
        let text = "CKPT * { FORK ANY }\nCKPT PID 1111 {\n FILE: \"/tmp/*\": REPLACE\n WILL CONT\n}";
        let id = Id { kind: IdType::Pid, number: 1111 };
        insta::assert_snapshot!(explain(&attributes(text), id, &["/tmp/a/b".into(), "/srv/c".into()]).join("\n"), @r#"
        1111:PID: /home/ann/.cpr:2 CKPT PID 1111, the most specific of 2 blocks that match
          WILL  CONT        /home/ann/.cpr:4
          FORK  ORIGINAL    default
          CDIR  REPLACE     default
          RDIR  REPLACE     default
          FILE  REPLACE     "/tmp/*", /home/ann/.cpr:3
          FILE  MERGE       every other file, default
        open and mapped files
          REPLACE     /tmp/a/b, /home/ann/.cpr:3
          MERGE       /srv/c, default
        "#);
        assert_eq!(explain(&Attributes::default(), id, &[])[0], "1111:PID: no attribute file");
        let other = Id { kind: IdType::Jid, number: 16 };
        assert_eq!(explain(&attributes("CKPT PID 1 {}"), other, &[])[0], "0x10:JID: no block for it in /home/ann/.cpr");
    }
}
