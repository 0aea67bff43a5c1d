//! Plain data between JSON and Lua: arguments of events, answers, `cr.json`, `cr.state`.
//!
//! From Lua nothing is called: metatables are looked through only for the sandbox's own read-only tables. Depth and size are limited, so that a
//! table that contains itself or doubles at every level is an error and not a hang.

use mlua::{Lua, Table, Value as LuaValue};
use serde::de::{self, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

use super::text::printable;

/// Tables within tables.
const DEEPEST: usize = 64;
/// Values in one piece of data.
const MOST_VALUES: usize = 1 << 18;
/// Bytes of text in one piece of data.
const MOST_BYTES: usize = 4 << 20;

/// Reads Lua values as JSON.
pub struct Reader<'a> {
    /// The contents of read-only tables, by table.
    contents: &'a Table,
    values: usize,
    bytes: usize,
}

impl<'a> Reader<'a> {
    /// A reader; `contents` maps read-only tables to what is in them.
    pub fn new(contents: &'a Table) -> Reader<'a> {
        Reader { contents, values: 0, bytes: 0 }
    }

    /// The value as JSON. The error names the key that JSON cannot hold.
    pub fn read(mut self, value: &LuaValue) -> Result<Value, String> {
        self.value(value, &mut Vec::new())
    }

    fn value(&mut self, value: &LuaValue, path: &mut Vec<String>) -> Result<Value, String> {
        self.values += 1;
        if self.values > MOST_VALUES {
            return Err(format!("more than {MOST_VALUES} values"));
        }
        match value {
            LuaValue::Nil => Ok(Value::Null),
            LuaValue::Boolean(truth) => Ok(Value::Bool(*truth)),
            LuaValue::Integer(number) => Ok(Value::from(*number)),
            LuaValue::Number(number) => match Number::from_f64(*number) {
                Some(number) => Ok(Value::Number(number)),
                None => Err(at(path, &format!("the number {number}"))),
            },
            LuaValue::String(text) => self.text(&text.as_bytes(), path).map(Value::String),
            LuaValue::Table(table) => self.table(table, path),
            other => Err(at(path, &format!("a {}", other.type_name()))),
        }
    }

    fn text(&mut self, bytes: &[u8], path: &[String]) -> Result<String, String> {
        self.bytes += bytes.len();
        if self.bytes > MOST_BYTES {
            return Err(format!("more than {} MiB of text", MOST_BYTES >> 20));
        }
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_| at(path, "a text that is not valid UTF-8"))
    }

    fn table(&mut self, table: &Table, path: &mut Vec<String>) -> Result<Value, String> {
        if path.len() >= DEEPEST {
            return Err(format!("tables deeper than {DEEPEST} levels, or a table that contains itself ({})", path[..3].join(".")));
        }
        let behind: Option<Table> = self.contents.raw_get(table).map_err(|error| error.to_string())?;
        // Contents of read-only tables that are no lists are marked.
        let is_object = behind.as_ref().is_some_and(|inner| inner.metatable().is_some());
        let table = behind.as_ref().unwrap_or(table);
        let length = table.raw_len();
        let (mut list, mut object) = (Vec::new(), Map::new());
        for index in 1..=length {
            let value: LuaValue = table.raw_get(index).map_err(|error| error.to_string())?;
            path.push(format!("[{index}]"));
            list.push(self.value(&value, path)?);
            path.pop();
        }
        for pair in table.pairs::<LuaValue, LuaValue>() {
            let (key, value) = pair.map_err(|error| error.to_string())?;
            let key = match &key {
                LuaValue::Integer(index) if usize::try_from(*index).is_ok_and(|index| (1..=length).contains(&index)) => continue,
                LuaValue::String(text) => self.text(&text.as_bytes(), path)?,
                LuaValue::Integer(index) => {
                    return Err(at(path, &format!("a table with the key {index}: it is neither a list nor keyed by texts")));
                }
                other => return Err(at(path, &format!("a table with a {} as a key", other.type_name()))),
            };
            path.push(key.clone());
            let value = self.value(&value, path)?;
            path.pop();
            object.insert(key, value);
        }
        match (list.is_empty(), object.is_empty()) {
            (true, true) if is_object => Ok(Value::Object(object)),
            (true, false) => Ok(Value::Object(object)),
            (_, true) => Ok(Value::Array(list)),
            (false, false) => Err(at(path, "a table with both a list and keys")),
        }
    }
}

fn at(path: &[String], what: &str) -> String {
    match path {
        [] => what.to_owned(),
        path => format!("{what} at '{}'", printable(path.join(".").as_bytes())),
    }
}

/// A JSON text as plain Lua values, without anything in between: all of it counts as memory of the Lua state. null is nil.
pub fn parse(lua: &Lua, text: &[u8]) -> Result<LuaValue, String> {
    let mut reader = serde_json::Deserializer::from_slice(text);
    let value = Seed(lua).deserialize(&mut reader).and_then(|value| reader.end().map(|()| value));
    value.map_err(|error| error.to_string())
}

/// Makes the Lua value of whatever comes.
#[derive(Clone, Copy)]
struct Seed<'a>(&'a Lua);

/// An error of the Lua state: out of memory, in practice.
fn state_error<E: de::Error>(error: mlua::Error) -> E {
    E::custom(super::native::said(error))
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = LuaValue;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<LuaValue, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = LuaValue;

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<LuaValue, E> {
        Ok(LuaValue::Nil)
    }

    fn visit_bool<E: de::Error>(self, truth: bool) -> Result<LuaValue, E> {
        Ok(LuaValue::Boolean(truth))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<LuaValue, E> {
        Ok(LuaValue::Integer(number))
    }

    #[allow(clippy::cast_precision_loss, reason = "numbers beyond 2^63 become floats, as everywhere in Lua")]
    fn visit_u64<E: de::Error>(self, number: u64) -> Result<LuaValue, E> {
        Ok(i64::try_from(number).map_or(LuaValue::Number(number as f64), LuaValue::Integer))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<LuaValue, E> {
        Ok(LuaValue::Number(number))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<LuaValue, E> {
        self.0.create_string(text).map(LuaValue::String).map_err(state_error)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<LuaValue, A::Error> {
        let table = self.0.create_table().map_err(state_error)?;
        let mut index = 0;
        while let Some(element) = elements.next_element_seed(self)? {
            index += 1;
            table.raw_set(index, element).map_err(state_error)?;
        }
        Ok(LuaValue::Table(table))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<LuaValue, A::Error> {
        let table = self.0.create_table().map_err(state_error)?;
        while let Some(key) = entries.next_key_seed(self)? {
            let value = entries.next_value_seed(self)?;
            table.raw_set(key, value).map_err(state_error)?;
        }
        Ok(LuaValue::Table(table))
    }
}

/// JSON as plain Lua values; null is nil.
pub fn write(lua: &Lua, value: &Value) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Array(list) => {
            let table = lua.create_table_with_capacity(list.len(), 0)?;
            for (index, value) in list.iter().enumerate() {
                table.raw_set(index + 1, write(lua, value)?)?;
            }
            LuaValue::Table(table)
        }
        Value::Object(object) => {
            let table = lua.create_table_with_capacity(0, object.len())?;
            for (key, value) in object {
                table.raw_set(key.as_str(), write(lua, value)?)?;
            }
            LuaValue::Table(table)
        }
        scalar => write_scalar(lua, scalar)?,
    })
}

/// A value that is no table. Numbers beyond 2^63 become floats.
pub fn write_scalar(lua: &Lua, value: &Value) -> mlua::Result<LuaValue> {
    Ok(match value {
        Value::Bool(truth) => LuaValue::Boolean(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(integer), _) => LuaValue::Integer(integer),
            (None, Some(float)) => LuaValue::Number(float),
            (None, None) => LuaValue::Nil,
        },
        Value::String(text) => LuaValue::String(lua.create_string(text)?),
        _ => LuaValue::Nil,
    })
}

#[cfg(test)]
mod test {
    use super::*;

    fn read(script: &str) -> String {
        let lua = Lua::new();
        let contents = lua.create_table().unwrap();
        let value: LuaValue = lua.load(script).eval().unwrap();
        match Reader::new(&contents).read(&value) {
            Ok(value) => value.to_string(),
            Err(message) => message,
        }
    }

    #[test]
    fn data_survives_and_what_json_cannot_hold_is_named() {
        for (script, expected) in [
            ("nil", "null"),
            ("{1, 'a', true, 2.5}", r#"[1,"a",true,2.5]"#),
            ("{a = {b = {}}}", r#"{"a":{"b":[]}}"#),
            ("math.mininteger", "-9223372036854775808"),
            ("0/0", "the number NaN"),
            ("{a = 1/0}", "the number inf at 'a'"),
            ("{a = {b = print}}", "a function at 'a.b'"),
            ("{1, 2, x = 3}", "a table with both a list and keys"),
            ("{a = {[7] = 1}}", "a table with the key 7: it is neither a list nor keyed by texts at 'a'"),
            ("{[1.5] = 1}", "a table with a number as a key"),
            ("{[print] = 1}", "a table with a function as a key"),
            ("{a = '\\xff'}", "a text that is not valid UTF-8 at 'a'"),
            ("(function() local t = {} t.a = t return t end)()", "tables deeper than 64 levels, or a table that contains itself (a.a.a)"),
            ("(function() local t = {1} for _ = 1, 60 do t = {t, t} end return t end)()", "more than 262144 values"),
            ("setmetatable({}, {__index = error, __len = error, __pairs = error})", "[]"),
        ] {
            assert_eq!(read(script), expected, "{script}");
        }
    }

    #[test]
    fn a_json_text_becomes_lua_without_a_detour() {
        let lua = Lua::new();
        let contents = lua.create_table().unwrap();
        for text in [r#"{"a":[1,-2,2.5,"x\n",true,18446744073709551615],"b":{"c":[null]},"d":null}"#, "7", "[]", "\"é\""] {
            let value: Value = serde_json::from_str(text).unwrap();
            let (one, other) = (parse(&lua, text.as_bytes()).unwrap(), write(&lua, &value).unwrap());
            assert_eq!(Reader::new(&contents).read(&one).unwrap(), Reader::new(&contents).read(&other).unwrap(), "{text}");
        }
        for text in ["", "[1", "[1] x", "{\"a\":}", &"[".repeat(100_000)] {
            assert!(parse(&lua, text.as_bytes()).is_err(), "{text:.20}");
        }
    }

    #[test]
    fn json_comes_back_from_lua_as_it_was() {
        let lua = Lua::new();
        let contents = lua.create_table().unwrap();
        for text in [r#"{"a":[1,-2,2.5,"x",true],"b":{"c":[]}}"#, "18446744073709551615"] {
            let value: Value = serde_json::from_str(text).unwrap();
            let back = Reader::new(&contents).read(&write(&lua, &value).unwrap()).unwrap();
            match value.as_f64() {
                Some(number) => assert_eq!(back.as_f64(), Some(number)),
                None => assert_eq!(back, value),
            }
        }
    }
}
