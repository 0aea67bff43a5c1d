//! MessagePack of a description as JSON, records decoded in place.
//!
//! The description is turned into MessagePack values and those into JSON, so that fields and kinds this release does not know are there too. Bytes
//! that are not a record become hexadecimal digits.

use rmpv::Value as Pack;
use serde_json::{Map, Value, json};

/// MessagePack as JSON; digits if it is none.
pub fn of_packed(bytes: &[u8]) -> Value {
    let mut rest = bytes;
    match rmpv::decode::read_value(&mut rest) {
        Ok(value) if rest.is_empty() => of_value(value, false),
        _ => json!(digits(bytes)),
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
        Pack::Binary(bytes) | Pack::Ext(_, bytes) => json!(digits(&bytes)),
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

fn digits(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
