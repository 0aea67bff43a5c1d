//! Arguments of events as read-only Lua tables.
//!
//! Every table and list of an argument becomes an empty table whose metatable (made by `lua/sandbox.lua`) looks into the contents kept beside it.
//! Metatables are made once for each place of each event. Relies on [`Shape`] for the fields that are known.

use std::cell::RefCell;
use std::collections::HashMap;

use mlua::{Function, Lua, Table, Value as LuaValue};
use serde_json::Value;

use super::shape::Shape;
use super::value::write_scalar;
use crate::policy::event::Name;

/// Makes arguments.
pub struct Views {
    /// From a read-only table to what is in it; weak.
    contents: Table,
    /// Makes a metatable of a name and the known fields.
    guard: Function,
    /// The metatable of contents that are no lists.
    object: Table,
    metatables: RefCell<HashMap<String, Table>>,
    shapes: RefCell<HashMap<Name, Shape>>,
}

impl Views {
    /// A maker of arguments.
    pub fn new(contents: Table, guard: Function, object: Table) -> Views {
        Views { contents, guard, object, metatables: RefCell::default(), shapes: RefCell::default() }
    }

    /// The argument of an event.
    pub fn argument(&self, lua: &Lua, name: Name, data: &Value) -> mlua::Result<LuaValue> {
        let mut shapes = self.shapes.borrow_mut();
        let shape = shapes.entry(name).or_insert_with(|| Shape::of(name));
        self.value(lua, name.word(), data, Some(shape))
    }

    /// The arguments of many events of one name, as a list.
    pub fn arguments(&self, lua: &Lua, name: Name, list: &[Value]) -> mlua::Result<LuaValue> {
        let shape = Shape::List(Box::new(Shape::of(name)));
        self.value(lua, name.word(), &Value::Array(list.to_vec()), Some(&shape))
    }

    fn value(&self, lua: &Lua, what: &str, value: &Value, shape: Option<&Shape>) -> mlua::Result<LuaValue> {
        let inner = match value {
            Value::Array(list) => {
                let element = if let Some(Shape::List(element)) = shape { Some(element.as_ref()) } else { None };
                let inner = lua.create_table_with_capacity(list.len(), 0)?;
                let name = format!("{what}[]");
                for (index, value) in list.iter().enumerate() {
                    inner.raw_set(index + 1, self.value(lua, &name, value, element)?)?;
                }
                inner
            }
            Value::Object(object) => {
                let inner = lua.create_table_with_capacity(0, object.len())?;
                for (key, value) in object {
                    let field = shape.and_then(|shape| shape.field(key));
                    let inside = if value.is_object() || value.is_array() { format!("{what}.{key}") } else { String::new() };
                    inner.raw_set(key.as_str(), self.value(lua, &inside, value, field)?)?;
                }
                inner
            }
            scalar => return write_scalar(lua, scalar),
        };
        // JSON tells an empty table from an empty list.
        if value.is_object() {
            inner.set_metatable(Some(self.object.clone()))?;
        }
        let view = lua.create_table()?;
        view.set_metatable(Some(self.metatable(what, shape)?))?;
        self.contents.raw_set(&view, inner)?;
        Ok(LuaValue::Table(view))
    }

    fn metatable(&self, what: &str, shape: Option<&Shape>) -> mlua::Result<Table> {
        if let Some(metatable) = self.metatables.borrow().get(what) {
            return Ok(metatable.clone());
        }
        let known = matches!(shape, Some(Shape::Table(_))).then(|| shape.map(|shape| shape.names().join(" ")).unwrap_or_default());
        let metatable: Table = self.guard.call((what, known))?;
        self.metatables.borrow_mut().insert(what.to_owned(), metatable.clone());
        Ok(metatable)
    }
}
