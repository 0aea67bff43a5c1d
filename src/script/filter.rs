//! Filters of handlers: which events of a name reach one.
//!
//! Relies on [`Shape`] to refuse filters that could never match. Evaluated by the client, so that an event that no filter matches costs the
//! script's process nothing.

use serde_json::{Map, Value};

use super::shape::Shape;
use super::text::{known, printable};
use crate::policy::event::Name;
use crate::policy::pattern::Pattern;

/// Values of one filter.
const MOST_WISHES: usize = 200;

/// A filter: every condition must hold.
#[derive(Debug, Clone)]
pub struct Filter(Vec<Condition>);

/// One key of a filter: one of its wishes must match the field.
#[derive(Debug, Clone)]
struct Condition {
    field: String,
    wishes: Vec<Wish>,
}

#[derive(Debug, Clone)]
enum Wish {
    Pattern(Pattern),
    Number(f64),
    Truth(bool),
}

impl Filter {
    /// Reads a filter as a script gave it. The error says what is wrong and what is known.
    pub fn read(name: Name, filter: &Map<String, Value>) -> Result<Filter, String> {
        let shape = Shape::of(name);
        let wishes = filter.values().map(|value| value.as_array().map_or(1, Vec::len)).sum::<usize>();
        if MOST_WISHES < wishes {
            return Err(format!("a filter may have {MOST_WISHES} values, not {wishes}: ask in the handler"));
        }
        let conditions = filter.iter().map(|(key, value)| {
            let unknown = || format!("'{key}' is no field of {} {}", name.word(), known(key, shape.names()));
            let field = shape.field(key).ok_or_else(unknown)?;
            let wishes = match value {
                Value::Array(wishes) => wishes.iter().map(|wish| Wish::read(name, key, field, wish)).collect::<Result<_, _>>()?,
                wish => vec![Wish::read(name, key, field, wish)?],
            };
            Ok(Condition { field: key.clone(), wishes })
        });
        conditions.collect::<Result<_, String>>().map(Filter)
    }

    /// Whether an event's argument passes.
    pub fn matches(&self, data: &Value) -> bool {
        self.0.iter().all(|condition| {
            let field = data.get(&condition.field).unwrap_or(&Value::Null);
            condition.wishes.iter().any(|wish| wish.matches(field))
        })
    }
}

impl Wish {
    fn read(name: Name, key: &str, shape: &Shape, wish: &Value) -> Result<Wish, String> {
        let misfit = || format!("the filter '{key}' of {} cannot be {wish}: the field is {}", name.word(), shape.word());
        let element = if let Shape::List(element) = shape { element } else { shape };
        match (wish, element) {
            (Value::String(text), Shape::Text | Shape::Word(_)) => {
                let pattern = if is_path(name, key) { Pattern::path(text) } else { Pattern::text(text) };
                let pattern = pattern.map_err(|bad| format!("the filter '{key}' of {}: {bad}", name.word()))?;
                if let Some(why) = never(name, key, text, &pattern) {
                    return Err(format!(
                        "the filter '{key}' of {} never matches with \"{}\": {why}",
                        name.word(),
                        printable(text.as_bytes())
                    ));
                }
                match element {
                    Shape::Word(words) if !words.iter().any(|word| pattern.matches(word)) => Err(misfit()),
                    _ => Ok(Wish::Pattern(pattern)),
                }
            }
            (Value::Number(number), Shape::Number) => number.as_f64().map(Wish::Number).ok_or_else(misfit),
            (Value::Bool(truth), _) => Ok(Wish::Truth(*truth)),
            _ => Err(misfit()),
        }
    }

    fn matches(&self, field: &Value) -> bool {
        match (self, field) {
            // True for what is there, false for what is not.
            (Wish::Truth(wish), Value::Bool(field)) => wish == field,
            (Wish::Truth(wish), Value::Null) => !wish,
            (Wish::Truth(wish), Value::Array(elements)) => *wish != elements.is_empty(),
            (Wish::Truth(wish), _) => *wish,
            (wish, Value::Array(elements)) => elements.iter().any(|element| wish.matches(element)),
            // A name such as `[heap]` is meant literally, too.
            (Wish::Pattern(pattern), Value::String(text)) => pattern.as_str() == text || pattern.matches(text),
            (Wish::Number(number), Value::Number(field)) => field.as_f64() == Some(*number),
            _ => false,
        }
    }
}

/// Why a pattern can match nothing that this field ever has.
fn never(name: Name, key: &str, text: &str, pattern: &Pattern) -> Option<&'static str> {
    let is_file = name == Name::FileDisposition;
    let is_lua = ["%.", "%-", "%d+", "%a+", "%w+"].iter().any(|part| text.contains(part));
    if is_lua || text.starts_with('^') && text.ends_with('$') {
        return Some("it is a pattern of Lua; here * ? [a-z] {a,b} ** are understood");
    }
    if is_file && key == "kind" && !pattern.matches("regular") {
        return Some("the event is for regular files only; object-disposition is for the others");
    }
    let may_begin = text.is_empty() || text.starts_with(['/', '*', '?', '[', '{', '\\']);
    (is_file && key == "path" && !may_begin).then_some("paths begin with a slash; **/ stands for any directory")
}

/// Whether the text of a field is a path, where a star stays within one component.
fn is_path(name: Name, field: &str) -> bool {
    matches!(field, "path" | "file") || (field == "name" && name == Name::AreaDisposition)
}

/// A filter for people: `path = "/tmp/**", writable = true`.
pub fn shown(filter: &Map<String, Value>) -> String {
    filter.iter().map(|(key, value)| format!("{key} = {value}")).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod test {
    use super::*;
    use serde_json::json;

    fn read(event: &str, filter: Value) -> Result<Filter, String> {
        Filter::read(Name::of(event).unwrap(), filter.as_object().unwrap())
    }

    #[test]
    fn conditions_match_by_the_kind_of_their_field() {
        let file = json!({"path": "/tmp/a/x.log", "writable": true, "size": 7, "flags": ["O_RDWR", "O_APPEND"], "side": "restart",
                          "changed": {"size": true}, "descriptors": []});
        for (filter, expected) in [
            (json!({}), true),
            (json!({"path": "/tmp/**"}), true),
            (json!({"path": "/tmp/*"}), false),
            (json!({"path": ["/var/**", "/**/*.log"]}), true),
            (json!({"path": "/tmp/**", "writable": false}), false),
            (json!({"size": 7}), true),
            (json!({"size": [8, 9]}), false),
            (json!({"flags": "O_APPEND"}), true),
            (json!({"flags": "O_TRUNC"}), false),
            (json!({"changed": true}), true),
            (json!({"changed": false}), false),
            (json!({"decided": false}), true),
            (json!({"decided": true}), false),
            (json!({"descriptors": false}), true),
            (json!({"side": "restart"}), true),
            (json!({"side": []}), false),
        ] {
            assert_eq!(read("file-disposition", filter.clone()).unwrap().matches(&file), expected, "{filter}");
        }
        let heap = read("area-disposition", json!({"name": "[heap]"})).unwrap();
        assert!(heap.matches(&json!({"name": "[heap]"})) && !heap.matches(&json!({"name": "[stack]"})));
    }

    #[test]
    fn a_filter_that_cannot_match_is_refused_with_what_is_known() {
        for (filter, part) in [
            (json!({"pth": "/x"}), "'pth' is no field of file-disposition (known: changed, decided, "),
            (json!({"pth": "/x"}), "did you mean 'path'?"),
            (json!({"writable": "yes"}), "the field is true or false"),
            (json!({"size": "7"}), "the field is a number"),
            (json!({"path": 7}), "the field is a text"),
            (json!({"side": "restrat"}), "the field is one of checkpoint, restart"),
            (json!({"path": "/tmp/[a"}), "is not a pattern"),
            (json!({"path": {"a": 1}}), "cannot be {\"a\":1}"),
            (json!({"path": [["/x"]]}), "cannot be [\"/x\"]"),
            (json!({"path": "/tmp/.*%.log"}), "it is a pattern of Lua"),
            (json!({"path": "^/tmp/x$"}), "it is a pattern of Lua"),
            (json!({"path": "tmp/x"}), "paths begin with a slash"),
            (json!({"kind": "socket"}), "the event is for regular files only"),
        ] {
            let error = read("file-disposition", filter.clone()).unwrap_err();
            assert!(error.contains(part), "{filter}: {error}");
        }
    }
}
