//! A record: the state one kind saved, with the tag that says which kind and which version of it wrote it.
//!
//! Relies on MessagePack with field names, so that old images stay readable when a state gains fields.
//! Leaves to the kinds what the state means.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::error::{Class, Classified};

/// Names a kind and the version of its state, for example `("pipe", 1)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// The kind's name: the same in the source tree, the test programs, the documentation and Lua.
    pub kind: &'static str,
    /// The version of the state struct.
    pub version: u16,
}

impl Tag {
    /// A tag; kinds declare theirs as a constant.
    pub const fn new(kind: &'static str, version: u16) -> Tag {
        Tag { kind, version }
    }
}

/// The saved state of one object or one piece of per-process state.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Name of the kind that wrote it.
    pub kind: String,
    /// Version of the state.
    pub version: u16,
    /// The state as MessagePack with field names.
    #[serde(with = "serde_bytes")]
    pub state: Vec<u8>,
}

/// Why a record could not be made or understood.
#[derive(Debug, thiserror::Error)]
#[allow(missing_docs, reason = "the fields say what they are in the messages")]
pub enum RecordError {
    /// A state that MessagePack cannot hold: an error of ours.
    #[error("cannot encode the {kind} record")]
    Encode { kind: String, source: rmp_serde::encode::Error },
    /// Bytes that are not the state the tag promises.
    #[error("cannot decode the {kind} record (version {version})")]
    Decode { kind: String, version: u16, source: rmp_serde::decode::Error },
    /// Written by a newer release, or by a kind this one does not have.
    #[error("the context file holds a {kind} record of version {version}, this release reads version {known}")]
    Version { kind: String, version: u16, known: u16 },
}

/// What to do about a record that this release does not know; the engine says which release wrote it.
pub const OTHER_RELEASE: &str = "restart it with the release that wrote it, or a newer one";

impl Classified for RecordError {
    fn class(&self) -> Class {
        match self {
            RecordError::Encode { .. } | RecordError::Decode { .. } | RecordError::Version { .. } => Class::Perm,
        }
    }
    fn remedy(&self) -> Option<String> {
        match self {
            RecordError::Version { .. } => Some(OTHER_RELEASE.into()),
            RecordError::Encode { .. } | RecordError::Decode { .. } => None,
        }
    }
}

impl Record {
    /// Encodes a state under its tag.
    pub fn encode<S: Serialize>(tag: Tag, state: &S) -> Result<Record, RecordError> {
        let state = rmp_serde::to_vec_named(state).map_err(|source| RecordError::Encode { kind: tag.kind.into(), source })?;
        Ok(Record { kind: tag.kind.into(), version: tag.version, state })
    }

    /// Decodes the state, which must have been written under `tag` (same kind, same version).
    pub fn decode<S: DeserializeOwned>(&self, tag: Tag) -> Result<S, RecordError> {
        if self.kind != tag.kind || self.version != tag.version {
            let (kind, version) = (self.kind.clone(), self.version);
            return Err(RecordError::Version { kind, version, known: tag.version });
        }
        rmp_serde::from_slice(&self.state).map_err(|source| RecordError::Decode { kind: self.kind.clone(), version: self.version, source })
    }
}

#[cfg(test)]
mod test {
    use super::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct StateV1 {
        value: u64,
    }

    const TAG: Tag = Tag::new("sample", 1);

    #[test]
    fn a_state_comes_back_equal() {
        let record = Record::encode(TAG, &StateV1 { value: 42 }).unwrap();
        assert_eq!(record.decode::<StateV1>(TAG).unwrap(), StateV1 { value: 42 });
    }

    #[test]
    fn another_version_is_refused_with_both_numbers() {
        let record = Record { kind: "sample".into(), version: 2, state: vec![] };
        let error = record.decode::<StateV1>(TAG).unwrap_err();
        assert_eq!(error.to_string(), "the context file holds a sample record of version 2, this release reads version 1");
        assert_eq!(error.class(), Class::Perm);
    }
}
