//! Every value in force, and where it comes from.

use serde_json::json;

use super::EffectiveValue;
use super::check::join;
use super::source::Sources;
use super::tree::{Node, Table, Value, holds_secret};

/// Lists all values of a checked tree. What `[defaults]` says is listed with the routes.
pub(super) fn list(root: &Table, sources: &Sources) -> Vec<EffectiveValue> {
    let mut found = Vec::new();
    for (key, entry) in root.iter().filter(|(key, _)| *key != "defaults" && *key != "include") {
        walk(key, &entry.node, sources, &mut found);
    }
    found
}

fn walk(path: &str, node: &Node, sources: &Sources, found: &mut Vec<EffectiveValue>) {
    match &node.value {
        Value::Table(table) if !table.is_empty() => {
            for (key, entry) in table {
                walk(&join(path, &quoted(key)), &entry.node, sources, found);
            }
        }
        Value::List(list) if list.iter().any(|entry| entry.table().is_some()) => {
            for (index, entry) in list.iter().enumerate() {
                walk(&format!("{path}[{index}]"), entry, sources, found);
            }
        }
        _ => found.push(EffectiveValue {
            path: path.to_owned(),
            value: json(&node.value),
            source: sources.describe(node.place),
        }),
    }
}

/// A key as it would be written in a dotted path.
fn quoted(key: &str) -> String {
    if key.contains('.') { format!("\"{key}\"") } else { key.to_owned() }
}

fn json(value: &Value) -> serde_json::Value {
    match value {
        Value::Text(text) if holds_secret(text) => json!("[secret]"),
        Value::Text(text) => json!(text),
        Value::Integer(number) => json!(number),
        Value::Boolean(truth) => json!(truth),
        Value::List(list) => list.iter().map(|entry| json(&entry.value)).collect(),
        Value::Table(_) => json!({}),
        Value::Secret(_) => json!("[secret]"),
        Value::Other(_) | Value::Broken => serde_json::Value::Null,
    }
}
