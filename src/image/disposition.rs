//! What becomes of files, other objects and memory areas: the words that policies decide with and context files keep.
//!
//! The words for files are those of IRIX CPR (`cpr(1)`, the attribute FILE); the kinds carry them out.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Makes an enum whose variants have words.
macro_rules! words {
    ($(#[$outer:meta])* $name:ident { $($(#[$inner:meta])* $variant:ident = $word:literal,)+ }) => {
        $(#[$outer])*
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(rename_all = "lowercase")]
        pub enum $name { $($(#[$inner])* $variant,)+ }

        impl $name {
            /// Every word, in order.
            pub const WORDS: &[&str] = &[$($word),+];

            /// The word in scripts, messages and context files.
            pub fn word(self) -> &'static str {
                match self { $($name::$variant => $word,)+ }
            }

            /// What a word means.
            pub fn of(word: &str) -> Option<$name> {
                match word {
                    $($word => Some($name::$variant),)+
                    _ => None,
                }
            }
        }
    };
}

words! {
    /// What becomes of a regular file.
    FileAction {
        /// Opened again and positioned; what the job writes goes back to its saved length.
        #[default]
        Merge = "merge",
        /// Opened as it was at first: at offset 0. It is made if it is missing and the job writes it.
        Ignore = "ignore",
        /// Opened again and positioned at its end, whatever its length is then.
        Append = "append",
        /// Saved with its contents, which take the place of whatever is at the path at restart.
        Replace = "replace",
        /// Saved with its contents, and opened as a copy without a name; whatever is at the path is left alone.
        Substitute = "substitute",
        /// Refused.
        Fail = "fail",
    }
}

words! {
    /// What becomes of an object that is not a regular file.
    ObjectAction {
        /// Refused, when it cannot be restored.
        #[default]
        Fail = "fail",
        /// The descriptors that lead to it are closed.
        Close = "close",
        /// Connected anew.
        Reconnect = "reconnect",
        /// Kept, with the other end closed.
        #[serde(rename = "hang_up")]
        HangUp = "hang_up",
        /// Put back as it was on the network.
        Repair = "repair",
        /// Another path is opened in its place.
        Open = "open",
        /// The job comes back without it: for state that nobody can keep.
        Lose = "lose",
    }
}

words! {
    /// A sort of state that no kind keeps. Losing it must be allowed (`--allow-lost`).
    LostSort {
        /// Namespaces of the job's own.
        #[default]
        Namespaces = "namespaces",
    }
}

words! {
    /// What becomes of the contents of a memory area.
    AreaAction {
        /// Saved.
        #[default]
        Save = "save",
        /// Not saved: it reads as zeros, or as the file that it maps.
        Skip = "skip",
        /// Refused.
        Fail = "fail",
    }
}

/// A decision about a file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileChoice {
    /// What is done.
    pub action: FileAction,
    /// Where it is at restart, if not at its saved path.
    pub path: Option<PathBuf>,
}

/// A decision about another object.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ObjectChoice {
    /// What is done.
    pub action: ObjectAction,
    /// What is opened, for [`ObjectAction::Open`].
    pub path: Option<PathBuf>,
}

#[cfg(test)]
mod test {
    use super::*;

    #[test]
    fn words_lead_back_to_what_they_name() {
        for word in FileAction::WORDS {
            assert_eq!(FileAction::of(word).map(FileAction::word), Some(*word));
            assert_eq!(serde_json::to_value(FileAction::of(word)).unwrap(), *word);
        }
        assert_eq!(ObjectAction::of("Open"), None);
        assert_eq!(AreaAction::default(), AreaAction::Save);
    }
}
