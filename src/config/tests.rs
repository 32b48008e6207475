//! Whole configurations: what they mean, and what is said of bad ones.

mod bad;
mod credentials;
mod dpop;
mod files;
mod foreign;
mod good;
mod listeners;
mod reference;
mod routes;
mod truth;
mod upstream_health;
mod upstreams;

use std::ffi::OsString;
use std::path::Path;

use super::*;

/// What most configurations here begin with: a listener, an issuer and defaults.
const BASE: &str = r#"
listener.main.bind = "127.0.0.1:8080"
defaults.upstream = "http://127.0.0.1:3000"
defaults.accept = "session"
"#;

const ROUTE: &str = "route.app.match = \"/{*rest}\"\n";

fn environment(name: &str) -> Option<OsString> {
    match name {
        "SECRET" => Some("hunter2hunter2hunter2hunter2hunter2".into()),
        "WORKERS" => Some("3".into()),
        "TRUTH" => Some("true".into()),
        "REDIS_URL" => Some("redis://u:hunter2@redis.internal:6380/2".into()),
        "EMPTY" => Some("".into()),
        _ => None,
    }
}

fn read_with(text: &str, overrides: &[&str]) -> Result<Loaded, Problems> {
    let overrides: Vec<String> = overrides.iter().map(|&text| text.to_owned()).collect();
    let base = Path::new("/etc/portcullis");
    assemble(Input {
        text: text.to_owned(),
        name: "a.toml",
        base,
        file: None,
        overrides: &overrides,
        environment: &environment,
    })
}

fn read(text: &str) -> Result<Loaded, Problems> {
    read_with(text, &[])
}

/// The settings of [`BASE`], a route, and `more`.
fn good(more: &str) -> Loaded {
    read(&format!("{BASE}{ROUTE}{more}")).unwrap_or_else(|problems| panic!("{problems}"))
}

/// `LINE:COLUMN message` of every problem.
fn problems(text: &str) -> Vec<String> {
    match read(text) {
        Ok(_) => Vec::new(),
        Err(found) => found.problems.iter().map(|p| format!("{}:{} {}", p.line, p.column, p.message)).collect(),
    }
}

fn value<'a>(loaded: &'a Loaded, path: &str) -> (&'a serde_json::Value, &'a str) {
    let found = loaded.effective.iter().find(|value| value.path == path);
    found.map(|found| (&found.value, found.source.as_str())).unwrap_or_else(|| panic!("no `{path}`"))
}
