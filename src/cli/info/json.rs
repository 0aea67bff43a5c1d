//! Everything in a context file as one JSON object: the description with its records decoded, and memory by kind.
//!
//! The description is turned into MessagePack values and those into JSON, so that fields and kinds this release does not know
//! are shown too. Bytes that are not a record become hexadecimal digits.

use rmpv::Value as Pack;
use serde_json::{Map, Value, json};

use super::Contents;
use super::heading::hex;
use super::tally::{ByName, sizes};

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

/// MessagePack as JSON; digits if it is none.
pub fn of_packed(bytes: &[u8]) -> Value {
    let mut rest = bytes;
    match rmpv::decode::read_value(&mut rest) {
        Ok(value) if rest.is_empty() => of_value(value, false),
        _ => json!(hex(bytes)),
    }
}

/// `is_record`: the value's `state` field is MessagePack inside MessagePack.
fn of_value(value: Pack, is_state: bool) -> Value {
    match value {
        Pack::Nil => Value::Null,
        Pack::Boolean(flag) => json!(flag),
        Pack::Integer(number) => number.as_u64().map_or_else(|| json!(number.as_i64()), |number| json!(number)),
        Pack::F32(number) => json!(number),
        Pack::F64(number) => json!(number),
        Pack::String(text) => json!(String::from_utf8_lossy(text.as_bytes())),
        Pack::Binary(bytes) if is_state => of_packed(&bytes),
        Pack::Binary(bytes) | Pack::Ext(_, bytes) => json!(hex(&bytes)),
        Pack::Array(items) => items.into_iter().map(|item| of_value(item, false)).collect(),
        Pack::Map(pairs) => {
            let has = |name: &str| pairs.iter().any(|(key, _)| key.as_str() == Some(name));
            let is_record = has("kind") && has("version");
            let pair = |(key, value): (Pack, Pack)| {
                let key = key.as_str().map_or_else(|| key.to_string(), str::to_owned);
                let is_state = is_record && key == "state";
                (key, of_value(value, is_state))
            };
            pairs.into_iter().map(pair).collect::<Map<_, _>>().into()
        }
    }
}
