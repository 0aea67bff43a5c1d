//! `--relocate OLD=NEW`: where a saved path is now (`cr_restart(1)`, "File relocation").
//!
//! Pure. Whole leading components are compared with the saved, canonical path; the first match wins and is applied once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// One rule: both paths absolute, without trailing slashes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relocation {
    /// Leading components of the saved path.
    pub old: PathBuf,
    /// What stands there instead.
    pub new: PathBuf,
}

/// The rules of one restart, in order, and single paths that were decided one by one.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relocations {
    rules: Vec<Relocation>,
    exact: HashMap<PathBuf, PathBuf>,
}

impl Relocations {
    /// Rules in the order in which they were given.
    pub fn new(rules: &[Relocation]) -> Relocations {
        Relocations { rules: rules.to_vec(), exact: HashMap::new() }
    }

    /// From now on the file saved as `saved` is at `now`, whatever the rules say.
    pub fn exactly(&mut self, saved: PathBuf, now: PathBuf) {
        self.exact.insert(saved, now);
    }

    /// Where `saved` is now. An OLD of `/` matches only the root itself, as in BLCR.
    pub fn apply(&self, saved: &Path) -> PathBuf {
        if let Some(now) = self.exact.get(saved) {
            return now.clone();
        }
        let rest = self.rules.iter().find_map(|rule| {
            if rule.old == Path::new("/") {
                return (saved == rule.old).then(|| rule.new.clone());
            }
            let rest = saved.strip_prefix(&rule.old).ok()?;
            Some(if rest.as_os_str().is_empty() { rule.new.clone() } else { rule.new.join(rest) })
        });
        rest.unwrap_or_else(|| saved.to_owned())
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn whole_leading_components_are_replaced_once_by_the_first_match() {
        let rule = |old: &str, new: &str| Relocation { old: old.into(), new: new.into() };
        let rules = Relocations::new(&[rule("/tmp/foo", "/new"), rule("/tmp", "/other"), rule("/new", "/never")]);
        for (saved, now) in [
            ("/tmp/foo", "/new"),
            ("/tmp/foo/1", "/new/1"),
            ("/tmp/fooz", "/other/fooz"),
            ("/var/tmp/foo", "/var/tmp/foo"),
            ("/tmp", "/other"),
        ] {
            assert_eq!(rules.apply(Path::new(saved)), Path::new(now), "{saved}");
        }
    }

    #[test]
    fn the_root_matches_only_itself() {
        let rules = Relocations::new(&[Relocation { old: "/".into(), new: "/x".into() }]);
        assert_eq!(rules.apply(Path::new("/")), Path::new("/x"));
        assert_eq!(rules.apply(Path::new("/etc")), Path::new("/etc"));
    }
}
