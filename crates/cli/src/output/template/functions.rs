//! The functions that Docker adds to Go's own, and JSON values as the template engine sees them.

use super::ast;
use gotmpl::{FuncMap, TemplateError, Value};
use model::gojson::{self, Style};
use serde_json::Value as Json;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

type Result = std::result::Result<Value, TemplateError>;

/// Functions of Go's `text/template`, which gotmpl has.
const BUILTIN: [&str; 19] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or", "print",
    "printf", "println", "slice", "urlquery",
];

/// Whether a template that is run with `funcs` may call `name`.
pub fn is_known(name: &str, funcs: &FuncMap) -> bool {
    name != ast::MEMBER && (BUILTIN.contains(&name) || funcs.contains_key(name))
}

/// Docker's functions. `json` writes objects in the order that `documents` knows, else sorted, and
/// in the style `objects`.
pub fn docker(objects: Style, documents: Documents) -> FuncMap {
    let mut funcs = FuncMap::new();
    add(&mut funcs, "json", 1, move |args| {
        // Docker escapes a row itself, and plain values not at all.
        let style = if matches!(args[0], Value::Map(_)) { objects } else { gojson::LINE };
        let text = style.to_string(&documents.to_json(&args[0]));
        text.map(string).map_err(|err| TemplateError::Exec(format!("error calling json: {err}")))
    });
    add(&mut funcs, "lower", 1, |args| Ok(string(text("lower", args, 0)?.to_lowercase())));
    add(&mut funcs, "upper", 1, |args| Ok(string(text("upper", args, 0)?.to_uppercase())));
    add(&mut funcs, "title", 1, |args| Ok(string(title(text("title", args, 0)?))));
    add(&mut funcs, "split", 2, |args| {
        let (source, separator) = (text("split", args, 0)?, text("split", args, 1)?);
        let parts: Vec<Value> = match separator {
            // Rust would add an empty part at each end.
            "" => source.chars().map(|c| string(c.to_string())).collect(),
            _ => source.split(separator).map(|part| string(part.to_owned())).collect(),
        };
        Ok(parts.into())
    });
    add(&mut funcs, "join", 2, |args| {
        let Value::List(parts) = &args[0] else { return Err(wrong_type("join", args, 0, "[]string")) };
        let parts: Vec<&str> = parts.iter().filter_map(Value::as_str).collect();
        Ok(string(parts.join(text("join", args, 1)?)))
    });
    add(&mut funcs, "pad", 3, |args| {
        let source = text("pad", args, 0)?;
        let (before, after) = (number("pad", args, 1)?, number("pad", args, 2)?);
        let padded = format!("{:before$}{source}{:after$}", "", "");
        Ok(string(if source.is_empty() { String::new() } else { padded }))
    });
    add(&mut funcs, "truncate", 2, |args| {
        Ok(string(text("truncate", args, 0)?.chars().take(number("truncate", args, 1)?).collect()))
    });
    add(&mut funcs, ast::MEMBER, 2, |args| {
        let key = text(ast::MEMBER, args, 1)?;
        Ok(args[0].field(key).cloned().unwrap_or(Value::Nil))
    });
    funcs.insert("index".into(), Arc::new(index));
    funcs
}

/// What the changing functions are in the header of a table: a heading stays as it is, and has no JSON.
pub fn header() -> FuncMap {
    let mut funcs = FuncMap::new();
    funcs.insert("json".into(), Arc::new(|_: &[Value]| Ok(string(String::new()))));
    for name in ["join", "lower", "split", "title", "truncate", "upper"] {
        let first = |args: &[Value]| Ok(args.first().cloned().unwrap_or(Value::Nil));
        funcs.insert(name.into(), Arc::new(first));
    }
    funcs
}

fn add(
    funcs: &mut FuncMap,
    name: &'static str,
    arity: usize,
    function: impl Fn(&[Value]) -> Result + Send + Sync + 'static,
) {
    let checked = move |args: &[Value]| {
        if args.len() != arity {
            let message = format!("wrong number of args for {name}: want {arity} got {}", args.len());
            return Err(TemplateError::Exec(message));
        }
        function(args)
    };
    funcs.insert(name.into(), Arc::new(checked));
}

fn string(text: String) -> Value {
    Value::String(text.into())
}

fn text<'a>(name: &str, args: &'a [Value], number: usize) -> std::result::Result<&'a str, TemplateError> {
    args[number].as_str().ok_or_else(|| wrong_type(name, args, number, "string"))
}

/// An argument that is a count of characters; a width beyond any terminal is cut.
fn number(name: &str, args: &[Value], number: usize) -> std::result::Result<usize, TemplateError> {
    const WIDEST: i64 = 4096;
    match args[number] {
        Value::Int(n) => usize::try_from(n.min(WIDEST))
            .map_err(|_| TemplateError::Exec(format!("error calling {name}: negative count {n}"))),
        _ => Err(wrong_type(name, args, number, "int")),
    }
}

fn wrong_type(name: &str, args: &[Value], number: usize, expected: &str) -> TemplateError {
    let got = args[number].type_name();
    TemplateError::Exec(format!(
        "argument {number} of {name}: wrong type for value; expected {expected}; got {got}"
    ))
}

/// Go's `strings.Title`: a capital at each word, where only letters, digits and `_` belong to a word.
fn title(source: &str) -> String {
    let mut inside = false;
    let mut out = String::with_capacity(source.len());
    for c in source.chars() {
        if inside {
            out.push(c);
        } else {
            out.extend(c.to_uppercase());
        }
        inside = if c.is_ascii() { c.is_ascii_alphanumeric() || c == '_' } else { !c.is_whitespace() };
    }
    out
}

/// Go's `index`, with the empty string for a key that a map of strings (labels, say) does not have.
fn index(args: &[Value]) -> Result {
    let Some((collection, keys)) = args.split_first() else {
        return Err(TemplateError::ArgCount { name: "index".into(), expected: 1, got: 0 });
    };
    let mut value = collection.clone();
    for key in keys {
        value = match (&value, key) {
            (Value::Nil, Value::String(_)) => string(String::new()),
            (Value::Map(map), Value::String(key)) => match map.get(key) {
                Some(value) => value.clone(),
                None if map.values().all(|value| value.as_str().is_some()) => string(String::new()),
                None => Value::Nil,
            },
            _ => value.index(key)?,
        };
    }
    Ok(value)
}

/// Converts JSON documents to template values and back, with their keys in order.
///
/// A template value sorts its keys, as Go ranges over a map; but Go writes a struct in the order of its
/// declaration, so `{{json .Config}}` has to find that order again. It is kept beside the value, by the address
/// of each map, which stays the same while the loaded document lives.
#[derive(Clone, Default)]
pub struct Documents(Arc<Mutex<HashMap<usize, Vec<String>>>>);

impl Documents {
    /// The template value of `document`; forgets the one that was loaded before.
    pub fn load(&self, document: &Json) -> Value {
        let mut orders = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        orders.clear();
        from_json(document, &mut orders)
    }

    fn to_json(&self, value: &Value) -> Json {
        to_json(value, &self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

fn from_json(document: &Json, orders: &mut HashMap<usize, Vec<String>>) -> Value {
    match document {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => match (number.as_i64(), number.as_u64()) {
            (Some(n), _) => Value::Int(n),
            (None, Some(n)) => Value::Uint(n),
            (None, None) => Value::Float(number.as_f64().unwrap_or_default()),
        },
        Json::String(text) => Value::String(text.as_str().into()),
        Json::Array(items) => items.iter().map(|item| from_json(item, orders)).collect::<Vec<_>>().into(),
        Json::Object(object) => {
            let map: BTreeMap<Arc<str>, Value> =
                object.iter().map(|(key, value)| (key.as_str().into(), from_json(value, orders))).collect();
            let map = Arc::new(map);
            orders.insert(Arc::as_ptr(&map).addr(), object.keys().cloned().collect());
            Value::Map(map)
        }
    }
}

fn to_json(value: &Value, orders: &HashMap<usize, Vec<String>>) -> Json {
    match value {
        Value::Nil | Value::Function(_) => Json::Null,
        Value::Bool(value) => Json::Bool(*value),
        Value::Int(n) => Json::from(*n),
        Value::Uint(n) => Json::from(*n),
        Value::Float(n) => Json::from(*n),
        Value::String(text) => Json::from(&**text),
        Value::List(items) => items.iter().map(|item| to_json(item, orders)).collect(),
        Value::Map(map) => {
            let member = |(key, value): (&str, &Value)| (key.to_owned(), to_json(value, orders));
            match orders.get(&Arc::as_ptr(map).addr()) {
                Some(keys) => {
                    let known = keys.iter().filter_map(|key| Some((key.as_str(), map.get(key.as_str())?)));
                    Json::Object(known.map(member).collect())
                }
                None => {
                    let plain = map.iter().filter(|(_, value)| !value.is_function());
                    Json::Object(plain.map(|(key, value)| member((key, value))).collect())
                }
            }
        }
    }
}
