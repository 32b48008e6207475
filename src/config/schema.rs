//! The JSON Schema of the file, from the same table of keys that checking goes by.

use serde_json::{Map, Value, json};

use super::keys::{Given, Key, Presence, ROOT, Shape};

/// The schema (draft 2020-12), so that editors complete and check.
pub(super) fn root() -> Value {
    let mut schema = table(ROOT, true);
    if let Some(schema) = schema.as_object_mut() {
        schema.insert("$schema".to_owned(), json!("https://json-schema.org/draft/2020-12/schema"));
        schema.insert("title".to_owned(), json!("Portcullis configuration"));
        schema.insert("$defs".to_owned(), definitions());
    }
    schema
}

fn definitions() -> Value {
    let env = json!({ "type": "string", "minLength": 1, "description": "Name of an environment variable." });
    json!({
        "env": {
            "description": "A value from the environment.",
            "type": "object",
            "properties": { "env": env, "default": { "description": "What holds where the variable is not set." } },
            "required": ["env"],
            "additionalProperties": false,
        },
        "secret": {
            "description": "A secret, from the environment or a file; never written here.",
            "oneOf": [
                { "type": "object", "properties": { "env": env }, "required": ["env"], "additionalProperties": false },
                {
                    "type": "object",
                    "properties": { "file": { "type": "string", "minLength": 1 } },
                    "required": ["file"],
                    "additionalProperties": false,
                },
            ],
        },
    })
}

fn table(keys: &[Key], whole: bool) -> Value {
    let mut properties = Map::new();
    let mut required = Vec::new();
    for key in keys.iter().filter(|key| key.is_available()) {
        let mut property = shape(&key.shape);
        if let Some(property) = property.as_object_mut() {
            property.insert("description".to_owned(), json!(key.doc));
            if let Presence::Default(given) = &key.presence
                && whole
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

fn default(given: &Given) -> Option<Value> {
    Some(match given {
        Given::Text(text) => json!(text),
        Given::Integer(number) => json!(number),
        Given::Boolean(truth) => json!(truth),
        Given::Texts(texts) => json!(texts),
        Given::Table => return None,
    })
}

fn shape(found: &Shape) -> Value {
    let scalar = |schema: Value| json!({ "anyOf": [schema, { "$ref": "#/$defs/env" }] });
    match found {
        Shape::Boolean => scalar(json!({ "type": "boolean" })),
        Shape::Integer { min, max } => scalar(json!({ "type": "integer", "minimum": min, "maximum": max })),
        Shape::Text | Shape::Path => scalar(json!({ "type": "string", "minLength": 1 })),
        Shape::Duration { .. } => scalar(json!({ "type": "string", "pattern": "^[0-9]+ ?(ms|s|m|h|d)$" })),
        Shape::Size => scalar(json!({ "type": "string", "pattern": "^[0-9]+ ?(B|KiB|MiB|GiB)?$" })),
        Shape::Choice { now, .. } => scalar(json!({ "enum": now })),
        Shape::Secret => json!({ "$ref": "#/$defs/secret" }),
        Shape::List(inner) => {
            let inner = shape(inner);
            json!({ "anyOf": [inner, { "type": "array", "items": inner }] })
        }
        Shape::Table(keys) => table(keys, true),
        Shape::Map(inner) => json!({ "type": "object", "additionalProperties": shape(inner) }),
        Shape::Either(shapes) => json!({ "anyOf": shapes.iter().map(shape).collect::<Vec<_>>() }),
        Shape::Partial { of, without } => {
            let mut schema = table(of, false);
            if let Some(properties) = schema.get_mut("properties").and_then(Value::as_object_mut) {
                properties.remove(*without);
            }
            schema
        }
        Shape::Later => Value::Bool(false),
    }
}
