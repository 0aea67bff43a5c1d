//! The shapes of event arguments: which fields a table has, and what is in each.
//!
//! Made from the JSON schemas of the event structs, so that there is one truth. Used to refuse filters that could never match and to name the
//! known fields when a script asks for another.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::policy::event::Name;

/// What stands at one place of an event's argument.
#[derive(Debug, Clone, PartialEq)]
pub enum Shape {
    /// Any text.
    Text,
    /// One of these words.
    Word(Vec<String>),
    /// A number.
    Number,
    /// true or false.
    Truth,
    /// A list of such things.
    List(Box<Shape>),
    /// A table whose keys are data.
    Map,
    /// A table with these fields.
    Table(BTreeMap<String, Shape>),
}

impl Shape {
    /// The shape of an event's argument.
    pub fn of(name: Name) -> Shape {
        let schema = (name.entry().schema)();
        let root = schema.as_value();
        let none = Value::Null;
        read(root, root.get("$defs").unwrap_or(&none))
    }

    /// The shape of one field of a table.
    pub fn field(&self, name: &str) -> Option<&Shape> {
        match self {
            Shape::Table(fields) => fields.get(name),
            _ => None,
        }
    }

    /// The names of the fields of a table, sorted.
    pub fn names(&self) -> Vec<&str> {
        match self {
            Shape::Table(fields) => fields.keys().map(String::as_str).collect(),
            _ => Vec::new(),
        }
    }

    /// What it is, in messages.
    pub fn word(&self) -> String {
        match self {
            Shape::Text => "a text".into(),
            Shape::Word(words) => format!("one of {}", words.join(", ")),
            Shape::Number => "a number".into(),
            Shape::Truth => "true or false".into(),
            Shape::List(element) => format!("a list, each element {}", element.word()),
            Shape::Map | Shape::Table(_) => "a table".into(),
        }
    }
}

fn read(schema: &Value, definitions: &Value) -> Shape {
    if let Some(name) = schema.get("$ref").and_then(Value::as_str) {
        let definition = name.rsplit('/').next().and_then(|name| definitions.get(name));
        return read(definition.expect("a reference to a definition"), definitions);
    }
    let is_null = |schema: &&Value| schema.get("type").and_then(Value::as_str) == Some("null");
    if let Some(choices) = schema.get("anyOf").and_then(Value::as_array) {
        let choice = choices.iter().find(|choice| !is_null(choice));
        return read(choice.expect("a choice that is not null"), definitions);
    }
    if let Some(words) = schema.get("enum").and_then(Value::as_array) {
        return Shape::Word(words.iter().filter_map(Value::as_str).map(str::to_owned).collect());
    }
    match type_of(schema) {
        "integer" | "number" => Shape::Number,
        "boolean" => Shape::Truth,
        "array" => {
            let element = schema.get("items").filter(|items| items.is_object());
            let element = element.or_else(|| schema.get("prefixItems").and_then(|items| items.get(0)));
            Shape::List(Box::new(read(element.expect("a list has elements"), definitions)))
        }
        "object" => match schema.get("properties").and_then(Value::as_object) {
            Some(fields) => Shape::Table(fields.iter().map(|(name, field)| (name.clone(), read(field, definitions))).collect()),
            None => Shape::Map,
        },
        _ => Shape::Text,
    }
}

/// The type of a schema; null beside another type only says that the field may be absent.
fn type_of(schema: &Value) -> &str {
    match schema.get("type") {
        Some(Value::Array(types)) => types.iter().filter_map(Value::as_str).find(|word| *word != "null").unwrap_or("string"),
        Some(Value::String(word)) => word,
        _ => "string",
    }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::policy::event::EVENTS;

    #[test]
    fn fields_have_the_shapes_of_the_structs() {
        let file = Shape::of(Name::FileDisposition);
        for (field, word) in [
            ("side", "one of checkpoint, restart"),
            ("path", "a text"),
            ("size", "a number"),
            ("writable", "true or false"),
            ("flags", "a list, each element a text"),
            ("descriptors", "a list, each element a table"),
            ("changed", "a table"),
            ("decided", "a text"),
        ] {
            assert_eq!(file.field(field).unwrap_or_else(|| panic!("{field}")).word(), word, "{field}");
        }
        assert_eq!(file.field("changed").unwrap().names(), ["content", "missing", "mtime", "size"]);
        assert_eq!(Shape::of(Name::AreaDisposition).field("range"), Some(&Shape::List(Box::new(Shape::Number))));
        assert_eq!(Shape::of(Name::PreRestart).field("annotations"), Some(&Shape::Map));
    }

    #[test]
    fn every_event_has_the_fields_of_its_schema() {
        for entry in EVENTS {
            let mut fields: Vec<String> = entry.name.fields().into_iter().map(|(name, _)| name).collect();
            fields.sort();
            assert_eq!(Shape::of(entry.name).names(), fields, "{}", entry.word);
        }
    }
}
