//! Paths in the description: for `#[serde(with = "crate::image::path")]` on a `PathBuf`.
//!
//! A path is any bytes, but serde's own form of `PathBuf` refuses those that are not UTF-8. Here a path is a string when it can be,
//! and binary when it cannot.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};

/// Writes a path.
pub fn serialize<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    match path.to_str() {
        Some(text) => serializer.serialize_str(text),
        None => serializer.serialize_bytes(path.as_os_str().as_bytes()),
    }
}

/// Reads a path.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    deserializer.deserialize_any(PathVisitor)
}

struct PathVisitor;

impl Visitor<'_> for PathVisitor {
    type Value = PathBuf;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a path")
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<PathBuf, E> {
        Ok(PathBuf::from(text))
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<PathBuf, E> {
        Ok(PathBuf::from(OsString::from_vec(bytes.to_vec())))
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Holder(#[serde(with = "super")] PathBuf);

    #[test]
    fn every_path_comes_back_equal() {
        for bytes in [&b"/a b/c"[..], "/ü".as_bytes(), b"/\xff\xfe", b""] {
            let holder = Holder(PathBuf::from(OsString::from_vec(bytes.to_vec())));
            let encoded = rmp_serde::to_vec_named(&holder).unwrap();
            assert_eq!(rmp_serde::from_slice::<Holder>(&encoded).unwrap(), holder);
        }
    }
}
