//! The files that are checked in say what the code does.

use std::path::PathBuf;

use super::*;
use crate::config::keys::{Key, ROOT, Shape};

fn checked_in(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(name)
}

#[test]
fn the_schema_that_is_checked_in_is_the_generated_one() {
    let path = checked_in("portcullis.schema.json");
    let generated = format!("{}\n", serde_json::to_string_pretty(&schema()).expect("JSON"));
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::write(&path, &generated).expect("writable");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == generated, "`portcullis.schema.json` is stale: run the tests with UPDATE_SCHEMA=1");
}

#[test]
fn the_example_is_good_and_warns_of_little() {
    let loaded = load(&checked_in("config.example.toml"), &[]).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(loaded.settings.routes.len(), 4);
    assert_eq!(loaded.warnings.problems.len(), 1, "{}", loaded.warnings);
    let warned = loaded.warnings.to_string();
    assert!(warned.contains("`route.account` admits every identity"), "{warned}");
}

#[test]
fn the_example_names_every_key() {
    fn names(keys: &'static [Key], found: &mut Vec<&'static str>) {
        for key in keys.iter().filter(|key| key.is_available()) {
            found.push(key.name);
            within(&key.shape, found);
        }
    }
    fn within(shape: &'static Shape, found: &mut Vec<&'static str>) {
        match shape {
            Shape::Table(keys) => names(keys, found),
            Shape::Map(inner) | Shape::ByHost(inner) | Shape::List(inner) => within(inner, found),
            Shape::Either(shapes) => shapes.iter().for_each(|shape| within(shape, found)),
            _ => {}
        }
    }
    let example = std::fs::read_to_string(checked_in("config.example.toml")).expect("readable");
    let words: std::collections::BTreeSet<&str> =
        example.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    let mut all = Vec::new();
    names(ROOT, &mut all);
    // What only rules have is told where rules are: in the reference.
    let elsewhere = ["counter", "groups", "principals", "min_interval", "serve", "timeout", "email", "name", "url"];
    let missing: Vec<_> = all.iter().filter(|name| !words.contains(**name) && !elsewhere.contains(name)).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn the_template_is_good_whatever_it_is_given() {
    for (upstream, issuer, audience) in [
        ("http://127.0.0.1:3000", "https://id.example.com/realms/acme", "orders"),
        ("https://orders.internal:8443", "https://id.example.com/", "a \"quoted\" \\ audience"),
    ] {
        let text = template(upstream, issuer, audience);
        let loaded = read(&text).unwrap_or_else(|problems| panic!("{problems}\n{text}"));
        assert_eq!(*loaded.settings.issuers[0].issuer, *issuer);
        assert_eq!(*loaded.settings.issuers[0].audiences[0], *audience);
    }
}

#[test]
fn defaults_of_the_table_of_keys_are_those_of_the_model() {
    use crate::model::settings::{HttpLimits, JwksSettings, KeySource, UpstreamTimeouts};
    let more = "[upstream.x]\nendpoints = 'http://x'\n[issuer.x]\nurl = 'https://x'\naudiences = 'x'\n";
    let loaded = good(more);
    assert_eq!(loaded.settings.listeners[0].limits, HttpLimits::default());
    let KeySource::Discovery(jwks) = &loaded.settings.issuers[0].keys else { panic!("discovery") };
    assert_eq!(*jwks, JwksSettings::default());
    let upstreams = &loaded.settings.upstreams;
    assert_eq!(upstreams[1].timeouts, UpstreamTimeouts::default());
    let [by_url, named] = &upstreams[..] else { panic!("two") };
    assert_eq!((by_url.max_idle, by_url.max_connections), (named.max_idle, named.max_connections));
}

#[test]
fn the_example_and_its_comments_fit_the_schema() {
    let schema = schema();
    let example = std::fs::read_to_string(checked_in("config.example.toml")).expect("readable");
    let whole: serde_json::Value = toml::from_str(&example).expect("TOML");
    assert_eq!(misfit(&whole, &schema, &schema, true), None);
    let (mut header, mut seen) = (String::new(), 0);
    for line in example.lines() {
        let text = line.strip_prefix("# ").unwrap_or(line);
        if text.starts_with('[') {
            header = text.split('#').next().unwrap_or_default().trim().to_owned();
        }
        let key = text.split_once(" = ").map(|(key, _)| key).filter(|_| line.starts_with("# "));
        if key.is_some_and(|key| key.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')) {
            let text = text.split("   or   ").next().unwrap_or_default();
            let document = if header.is_empty() { text.to_owned() } else { format!("{header}\n{text}") };
            let value: serde_json::Value = toml::from_str(&document).unwrap_or_else(|e| panic!("{document}: {e}"));
            assert_eq!(misfit(&value, &schema, &schema, false), None, "{document}");
            seen += 1;
        }
    }
    assert!(seen > 50, "{seen}");
    let bad = serde_json::json!({ "server": { "workers": "many" } });
    assert!(misfit(&bad, &schema, &schema, true).is_some());
}

/// Where a value does not fit a schema, as far as ours goes; `whole`: whether what is required must be there.
fn misfit(
    value: &serde_json::Value,
    schema: &serde_json::Value,
    root: &serde_json::Value,
    whole: bool,
) -> Option<String> {
    use serde_json::Value;
    let wrong = || Some(format!("{value} is not {schema}"));
    if let Some(name) = schema["$ref"].as_str() {
        let name = name.strip_prefix("#/$defs/").expect("a definition");
        return misfit(value, &root["$defs"][name], root, whole);
    }
    if let Some(any) = schema["anyOf"].as_array() {
        return if any.iter().any(|schema| misfit(value, schema, root, whole).is_none()) { None } else { wrong() };
    }
    if let Some(choices) = schema["enum"].as_array() {
        return if choices.contains(value) { None } else { wrong() };
    }
    match (schema["type"].as_str(), value) {
        (Some("boolean"), Value::Bool(_)) | (Some("string"), Value::String(_)) | (None, _) => None,
        (Some("integer"), Value::Number(n)) if n.as_i64() >= schema["minimum"].as_i64() => None,
        (Some("array"), Value::Array(list)) => list.iter().find_map(|v| misfit(v, &schema["items"], root, whole)),
        (Some("object"), Value::Object(object)) => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let lacks = required.filter(|_| whole).find(|key| !object.contains_key(*key));
            let entry =
                |(key, value): (&String, &Value)| match (&schema["properties"][key], &schema["additionalProperties"]) {
                    (Value::Null, Value::Object(_)) => misfit(value, &schema["additionalProperties"], root, whole),
                    (Value::Null, _) => Some(format!("no `{key}`")),
                    (schema, _) => misfit(value, schema, root, whole),
                };
            lacks.map(|key| format!("lacks `{key}`")).or_else(|| object.iter().find_map(entry))
        }
        _ => wrong(),
    }
}

#[test]
fn the_reference_that_is_checked_in_is_the_generated_one() {
    let path = checked_in("docs/configuration.md");
    let generated = super::reference::text();
    if std::env::var_os("UPDATE_SCHEMA").is_some() {
        std::fs::create_dir_all(checked_in("docs")).expect("writable");
        std::fs::write(&path, &generated).expect("writable");
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(found == generated, "`docs/configuration.md` is stale: run the tests with UPDATE_SCHEMA=1");
}
