//! The JSON Schema of the file, from the same table of keys that checking goes by.

use serde_json::{Map, Value, json};

use super::check::join;
use super::keys::{Given, Key, Presence, ROOT, Shape};

/// The schema (draft 2020-12), so that editors complete and check.
pub(super) fn root() -> Value {
    let mut definitions = Definitions::default();
    let mut schema = definitions.table(ROOT, "", true);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("title".to_owned(), json!("Portcullis configuration"));
        schema.insert("$defs".to_owned(), Value::Object(definitions.finish()));
    }
    schema
}

/// What is referred to from more than one place.
#[derive(Default)]
struct Definitions {
    /// Tables that stand in lists, by the path where they were met first.
    tables: Vec<(&'static [Key], String, Value)>,
}

impl Definitions {
    fn finish(self) -> Map<String, Value> {
        let env = json!({ "type": "string", "minLength": 1, "description": "Name of an environment variable." });
        let variable = json!({ "$ref": "#/$defs/env" });
        let text = json!({ "anyOf": [{ "type": "string", "minLength": 1 }, variable] });
        let reference = json!({ "$ref": "#/$defs/text" });
        let unit = |pattern: &str| json!({ "anyOf": [{ "type": "string", "pattern": pattern }, variable] });
        let definitions = json!({
            "env": {
                "description": "A value from the environment.",
                "type": "object",
                "properties": { "env": env, "default": { "description": "What holds where the variable is not set." } },
                "required": ["env"],
                "additionalProperties": false,
            },
            "secret": {
                "description": "A secret, from the environment or a file; never written here.",
                "anyOf": [
                    { "type": "object", "properties": { "env": env }, "required": ["env"], "additionalProperties": false },
                    {
                        "type": "object",
                        "properties": { "file": { "type": "string", "minLength": 1 } },
                        "required": ["file"],
                        "additionalProperties": false,
                    },
                ],
            },
            "text": text,
            "texts": { "anyOf": [reference, { "type": "array", "items": reference }] },
            "duration": unit("^[0-9]+ ?(ms|s|m|h|d)$"),
            "size": unit("^[0-9]+ ?(B|KiB|MiB|GiB)?$"),
        });
        let mut definitions = match definitions {
            Value::Object(definitions) => definitions,
            _ => Map::new(),
        };
        definitions.extend(self.tables.into_iter().map(|(_, name, schema)| (name, schema)));
        definitions
    }

    fn table(&mut self, keys: &'static [Key], path: &str, whole: bool) -> Value {
        let mut properties = Map::new();
        let mut required = Vec::new();
        for key in keys.iter().filter(|key| key.is_available()) {
            let mut property = self.shape(&key.shape, &join(path, key.name));
            if let Some(property) = property.as_object_mut() {
                property.insert("description".to_owned(), json!(key.doc));
                if let (true, Presence::Default(given)) = (whole, &key.presence)
                    && let Some(default) = default(given)
                {
                    property.insert("default".to_owned(), default);
                }
            }
            // What `[defaults]` may give is not required of each route.
            let from_defaults = matches!(key.name, "accept" | "upstream");
            if matches!(key.presence, Presence::Required) && whole && !from_defaults {
                required.push(key.name);
            }
            properties.insert(key.name.to_owned(), property);
        }
        let mut schema = json!({ "type": "object", "properties": properties, "additionalProperties": false });
        if let (false, Some(schema)) = (required.is_empty(), schema.as_object_mut()) {
            schema.insert("required".to_owned(), json!(required));
        }
        schema
    }

    fn shape(&mut self, found: &'static Shape, path: &str) -> Value {
        let scalar = |schema: Value| json!({ "anyOf": [schema, { "$ref": "#/$defs/env" }] });
        let defined = |name: &str| json!({ "$ref": format!("#/$defs/{name}") });
        match found {
            Shape::Boolean => scalar(json!({ "type": "boolean" })),
            Shape::Integer { min, max } => scalar(json!({ "type": "integer", "minimum": min, "maximum": max })),
            Shape::Text | Shape::Path => defined("text"),
            Shape::Duration { .. } => defined("duration"),
            Shape::Size => defined("size"),
            Shape::Choice { now, .. } => scalar(json!({ "enum": now })),
            Shape::Secret => defined("secret"),
            Shape::List(Shape::Text | Shape::Path) => defined("texts"),
            Shape::List(Shape::Table(keys)) => {
                let inner = defined(&self.define(keys, path));
                json!({ "anyOf": [inner, { "type": "array", "items": inner }] })
            }
            Shape::List(inner) => {
                let inner = self.shape(inner, path);
                json!({ "anyOf": [inner, { "type": "array", "items": inner }] })
            }
            Shape::Table(keys) => self.table(keys, path, true),
            Shape::Map(inner) | Shape::ByHost(inner) => {
                json!({ "type": "object", "additionalProperties": self.shape(inner, path) })
            }
            Shape::Either(shapes) => {
                json!({ "anyOf": shapes.iter().map(|shape| self.shape(shape, path)).collect::<Vec<_>>() })
            }
            Shape::Partial { of, without } => {
                let mut schema = self.table(of, path, false);
                if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
                    properties.remove(*without);
                }
                schema
            }
            Shape::Later => Value::Bool(false),
        }
    }

    fn define(&mut self, keys: &'static [Key], path: &str) -> String {
        if let Some((_, name, _)) = self.tables.iter().find(|(known, _, _)| std::ptr::eq(*known, keys)) {
            return name.clone();
        }
        let schema = self.table(keys, path, true);
        self.tables.push((keys, path.to_owned(), schema));
        path.to_owned()
    }
}

fn default(given: &Given) -> Option<Value> {
    Some(match given {
        Given::Text(text) => json!(text),
        Given::Integer(number) => json!(number),
        Given::Boolean(truth) => json!(truth),
        Given::Texts(texts) => json!(texts),
        Given::Table => return None,
    })
}
