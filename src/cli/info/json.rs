//! Everything in a context file as one JSON object: the description with its records decoded, and memory by kind.
//!
//! Relies on `image::unpack` for a description in which fields and kinds this release does not know are shown too.

use serde_json::{Value, json};

use super::Contents;
use super::heading::hex;
use super::tally::{ByName, sizes};
use crate::image::unpack::of_packed;

/// The object.
pub fn object(contents: &Contents) -> Result<Value, rmp_serde::encode::Error> {
    let header = &contents.header;
    let memory = contents
        .snapshot
        .memories
        .iter()
        .zip(&contents.tallies)
        .map(|(memory, tally)| json!({ "bytes": ByName(sizes(memory)), "saved": tally.map(|tally| ByName(tally.saved)) }));
    Ok(json!({
        "ok": true,
        "file": contents.name,
        "bytes": contents.bytes,
        "header": {
            "format": header.version,
            "architecture": header.architecture,
            "page_bytes": header.page_bytes,
            "flags": header.flags,
            "id": hex(&header.id),
            "created_ns": header.created_ns,
            "metadata_bytes": header.metadata_bytes,
        },
        "memory": memory.collect::<Value>(),
        "verified": contents.verified.map(|verified| json!({
            "bytes": verified.bytes, "blocks": verified.blocks, "page_bytes": verified.page_bytes,
        })),
        "snapshot": of_packed(&rmp_serde::to_vec_named(&*contents.snapshot)?),
    }))
}
