//! Made-up events: what an author gives of an argument is checked, and the rest is filled in.
//!
//! Relies on the JSON schemas of the event structs, so that fields and types are those of real events. Used by tools for authors only; the
//! engine makes its events from the structs themselves.

use serde_json::{Map, Value, json};

use super::event::Name;

/// A field of an event's argument, or of a table in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its path from the argument: `options.path`, `processes[].pid`.
    pub path: String,
    /// Its type in words of JSON: `integer`, `string`, `array` …; of a list with that of its elements.
    pub kind: String,
    /// Whether it may be absent.
    pub is_optional: bool,
    /// What it is.
    pub description: String,
}

/// A place in a schema, with what its references lead to.
#[derive(Clone, Copy)]
struct Place<'a> {
    schema: &'a Value,
    root: &'a Value,
}

/// The argument of an event, made of what is given. What is left out is 0, false, empty or absent; `class` follows from the event, `attempt`
/// is 1. The error names what is wrong and what is known.
pub fn complete(name: Name, given: &Value) -> Result<Value, String> {
    let schema = (name.entry().schema)();
    let root = schema.as_value();
    let mut given = if given.is_null() || *given == json!([]) { json!({}) } else { given.clone() };
    let shown = brief(&given);
    let Some(object) = given.as_object_mut() else {
        return Err(format!("the argument of {} is an object, not {shown}", name.word()));
    };
    for (field, value) in usual(name) {
        object.entry(field).or_insert(value);
    }
    Place { schema: root, root }.complete(&given, name.word())
}

/// Every field of an event, tables opened, sorted by name.
pub fn fields(name: Name) -> Vec<Field> {
    let schema = (name.entry().schema)();
    let root = schema.as_value();
    let mut fields = Vec::new();
    Place { schema: root, root }.list("", &mut fields);
    fields
}

/// What an event of this name has usually, where nothing would make no sense.
fn usual(name: Name) -> Vec<(&'static str, Value)> {
    match name {
        Name::FailArgs | Name::FailTemp | Name::FailEnv | Name::FailPerm => {
            vec![("class", json!(name.word().trim_start_matches("fail-"))), ("attempt", json!(1))]
        }
        Name::CheckpointFailed => vec![("class", json!("env")), ("attempt", json!(1))],
        Name::FileDisposition => vec![("kind", json!("regular"))],
        _ => Vec::new(),
    }
}

impl<'a> Place<'a> {
    fn at(self, schema: &'a Value) -> Place<'a> {
        Place { schema, ..self }
    }

    /// Follows references and leaves out that something may be null.
    fn resolved(self) -> Place<'a> {
        if let Some(pointer) = self.schema.get("$ref").and_then(Value::as_str) {
            let found = self.root.pointer(pointer.trim_start_matches('#'));
            return self.at(found.expect("a schema refers to its own definitions")).resolved();
        }
        let choices = self.schema.get("anyOf").and_then(Value::as_array);
        match choices.and_then(|choices| choices.iter().find(|choice| choice.get("type").and_then(Value::as_str) != Some("null"))) {
            Some(choice) => self.at(choice).resolved(),
            None => self,
        }
    }

    /// The type; of one that may be null the other.
    fn kind(self) -> &'a str {
        match self.schema.get("type") {
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).find(|kind| *kind != "null").unwrap_or("string"),
            Some(Value::String(kind)) => kind,
            _ => "string",
        }
    }

    /// The fields of a table; `None` where keys are data.
    fn properties(self) -> Option<&'a Map<String, Value>> {
        self.schema.get("properties").and_then(Value::as_object)
    }

    fn is_required(self, field: &str) -> bool {
        let required = self.schema.get("required").and_then(Value::as_array);
        required.is_some_and(|required| required.iter().any(|name| name == field))
    }

    /// What each element of a list is; of a pair its first.
    fn element(self) -> Place<'a> {
        let items = self.schema.get("items").filter(|items| items.is_object());
        let items = items.or_else(|| self.schema.get("prefixItems").and_then(|items| items.get(0)));
        self.at(items.expect("a list has elements")).resolved()
    }

    fn complete(self, given: &Value, at: &str) -> Result<Value, String> {
        let place = self.resolved();
        let wrong = |wanted: &str| Err(format!("{at} is {wanted}, not {}", brief(given)));
        if let Some(words) = place.schema.get("enum").and_then(Value::as_array) {
            let known: Vec<&str> = words.iter().filter_map(Value::as_str).collect();
            return if words.contains(given) { Ok(given.clone()) } else { wrong(&format!("one of {}", known.join(", "))) };
        }
        match (place.kind(), given) {
            ("object", Value::Object(object)) => place.complete_table(object, at),
            // An empty table of Lua may be either.
            ("object", Value::Array(list)) if list.is_empty() => place.complete_table(&Map::new(), at),
            ("array", Value::Object(object)) if object.is_empty() => Ok(json!([])),
            ("array", Value::Array(list)) => {
                let element = place.element();
                let list = list.iter().enumerate().map(|(index, value)| element.complete(value, &format!("{at}[{}]", index + 1)));
                list.collect::<Result<Vec<_>, _>>().map(Value::Array)
            }
            ("object", _) => wrong("an object"),
            ("array", _) => wrong("a list"),
            ("boolean", Value::Bool(_)) | ("string", Value::String(_)) | ("number", Value::Number(_)) => Ok(given.clone()),
            ("integer", Value::Number(number)) => match whole(number) {
                Some(whole) => Ok(whole),
                None => wrong("a whole number"),
            },
            ("boolean", _) => wrong("true or false"),
            ("integer" | "number", _) => wrong("a number"),
            _ => wrong("a text"),
        }
    }

    fn complete_table(self, given: &Map<String, Value>, at: &str) -> Result<Value, String> {
        let Some(properties) = self.properties() else { return Ok(Value::Object(given.clone())) };
        if let Some(unknown) = given.keys().find(|key| !properties.contains_key(*key)) {
            let known: Vec<&str> = properties.keys().map(String::as_str).collect();
            return Err(format!("{at} has no field '{unknown}' (known: {})", known.join(", ")));
        }
        let mut table = Map::new();
        for (field, schema) in properties {
            let value = match given.get(field).filter(|value| !value.is_null()) {
                Some(value) => self.at(schema).complete(value, &format!("{at}.{field}"))?,
                None if self.is_required(field) => self.at(schema).nothing(),
                None => continue,
            };
            table.insert(field.clone(), value);
        }
        Ok(Value::Object(table))
    }

    /// What stands where nothing was given.
    fn nothing(self) -> Value {
        let place = self.resolved();
        if let Some(first) = place.schema.get("enum").and_then(|words| words.get(0)) {
            return first.clone();
        }
        match place.kind() {
            "boolean" => json!(false),
            "integer" | "number" => json!(0),
            "array" => {
                let pair = place.schema.get("prefixItems").and_then(Value::as_array);
                pair.into_iter().flatten().map(|item| self.at(item).nothing()).collect()
            }
            "object" => {
                let properties = place.properties().into_iter().flatten().filter(|(field, _)| place.is_required(field));
                Value::Object(properties.map(|(field, schema)| (field.clone(), place.at(schema).nothing())).collect())
            }
            _ => json!(""),
        }
    }

    fn list(self, prefix: &str, fields: &mut Vec<Field>) {
        for (name, schema) in self.properties().into_iter().flatten() {
            let place = self.at(schema).resolved();
            let path = format!("{prefix}{name}");
            let (kind, inner) = match place.kind() {
                "array" => (format!("list of {}", place.element().kind()), place.element()),
                kind => (kind.to_owned(), place),
            };
            let description = schema.get("description").and_then(Value::as_str).unwrap_or_default();
            let description = description.split_whitespace().collect::<Vec<_>>().join(" ");
            let below = format!("{path}{}", if place.kind() == "array" { "[]." } else { "." });
            fields.push(Field { path, kind, is_optional: !self.is_required(name), description });
            inner.list(&below, fields);
        }
    }
}

/// Lua's whole numbers may come as floats: 2.0 is 2.
fn whole(number: &serde_json::Number) -> Option<Value> {
    if number.is_i64() || number.is_u64() {
        return Some(Value::Number(number.clone()));
    }
    let text = number.as_f64().filter(|float| float.fract() == 0.0 && float.abs() < 9e15).map(|float| format!("{float:.0}"))?;
    text.parse::<i64>().ok().map(Value::from)
}

/// A value in a message, cut if it is long.
fn brief(value: &Value) -> String {
    const MOST: usize = 60;
    let text = value.to_string();
    if text.chars().count() <= MOST { text } else { text.chars().take(MOST).chain("…".chars()).collect() }
}

#[cfg(test)]
mod test {
    use super::*;
    use crate::policy::event::{EVENTS, ExitEvent, FailureEvent, FileEvent, JobEvent, RestartEvent};

    fn completed(name: &str, given: Value) -> String {
        complete(Name::of(name).unwrap(), &given).map_or_else(|error| error, |value| value.to_string())
    }

    #[test]
    fn what_is_left_out_is_nothing() {
        assert_eq!(complete(Name::PreCheckpoint, &Value::Null).unwrap(), serde_json::to_value(JobEvent::default()).unwrap());
        assert_eq!(complete(Name::PreRestart, &json!({})).unwrap(), serde_json::to_value(RestartEvent::default()).unwrap());
        assert_eq!(complete(Name::JobExit, &json!([])).unwrap(), serde_json::to_value(ExitEvent::default()).unwrap());
        let file = FileEvent { path: "/a".into(), kind: "regular".into(), ..FileEvent::default() };
        assert_eq!(complete(Name::FileDisposition, &json!({"path": "/a"})).unwrap(), serde_json::to_value(file).unwrap());
        let failure = FailureEvent { class: "temp".into(), attempt: 1, ..FailureEvent::default() };
        assert_eq!(complete(Name::FailTemp, &Value::Null).unwrap(), serde_json::to_value(failure).unwrap());
    }

    #[test]
    fn tables_inside_are_completed_and_lists_of_lua_are_understood() {
        let job = complete(Name::Frozen, &json!({"processes": [{"pid": 7.0}], "options": {"sync": true}, "ids": {}})).unwrap();
        assert_eq!(job["processes"], json!([{"pid": 7, "name": ""}]));
        assert_eq!(job["options"], json!({"sync": true, "dry_run": false}));
        assert_eq!(job["ids"], json!([]));
        let restart = complete(Name::PreRestart, &json!({"annotations": {"any": "thing"}})).unwrap();
        assert_eq!(restart["annotations"], json!({"any": "thing"}));
    }

    #[test]
    fn what_no_event_could_have_is_refused_with_what_is_known() {
        for (event, given, expected) in [
            ("job-exit", json!({"statsu": 1}), "job-exit has no field 'statsu' (known: signal, status)"),
            ("pre-restart", json!({"differs": {"pid": []}}), "pre-restart.differs has no field 'pid' (known: "),
            ("process", json!({"pid": "7"}), "process.pid is a number, not \"7\""),
            ("process", json!({"pid": 7.5}), "process.pid is a whole number, not 7.5"),
            ("file-disposition", json!({"side": "both"}), "file-disposition.side is one of checkpoint, restart, not \"both\""),
            ("file-disposition", json!({"writable": 1}), "file-disposition.writable is true or false, not 1"),
            ("file-disposition", json!({"flags": "O_RDWR"}), "file-disposition.flags is a list, not \"O_RDWR\""),
            ("file-disposition", json!({"flags": [1]}), "file-disposition.flags[1] is a text, not 1"),
            ("file-disposition", json!({"changed": true}), "file-disposition.changed is an object, not true"),
            ("frozen", json!(7), "the argument of frozen is an object, not 7"),
        ] {
            let text = completed(event, given);
            assert!(text.starts_with(expected), "{text}");
        }
    }

    #[test]
    fn every_event_has_a_sample_and_described_fields() {
        for entry in EVENTS {
            complete(entry.name, &Value::Null).unwrap();
            for field in fields(entry.name) {
                assert!(!field.description.is_empty(), "{}: {}", entry.word, field.path);
            }
        }
        let paths: Vec<String> = fields(Name::OnSuccess).into_iter().map(|field| format!("{} {}", field.path, field.kind)).collect();
        assert!(paths.contains(&"pids list of object".into()) && paths.contains(&"pids[].old integer".into()), "{paths:?}");
        let exit = fields(Name::JobExit);
        assert!(exit.iter().all(|field| field.is_optional));
    }
}
