//! The reference in `docs/configuration.md`, from the table of keys.

use std::fmt::Write;

use crate::config::keys::{Given, Key, Presence, ROOT, Shape};

const INTRODUCTION: &str = "\
# Configuration

Portcullis reads one TOML file; [`config.example.toml`](../config.example.toml) is a commented one that runs as it stands,
and `portcullis check --config FILE` says whether a file is good: all problems at once, each with its place.
`portcullis schema` prints a JSON Schema for editors (also in [`portcullis.schema.json`](../portcullis.schema.json)).

- **Order** means nothing, but for `[[mtls]]`, where the first match wins. Unknown keys are errors.
- **Durations** are `\"250ms\"`, `\"30s\"`, `\"5m\"`, `\"12h\"`, `\"7d\"`; **sizes** `\"512B\"`, `\"64KiB\"`, `\"1MiB\"`. A list of one may stand bare.
- **Paths** are relative to the file that names them; in `--set`, to the working directory.
- **Environment**: any value may be `{ env = \"NAME\", default = … }`. Text from the environment becomes a number or boolean
  where one is wanted.
- **Secrets** are `{ env = \"NAME\" }` or `{ file = \"PATH\" }`, never written in the file; one newline at the end of a file is
  dropped. `store.url` may hold a password only where the whole URL comes from the environment.
- **`include`** adds the tables of other files, sorted by name. A key that two files set is an error.
- **`--set PATH=VALUE`** replaces one value; VALUE is TOML, or else a bare string. It comes last.
- **`[defaults]`** has the keys of a route but `match`. A route's own value replaces a default; only `deny` adds up.
  `accept = \"anyone\"` is never a default.

## What is accepted

`accept` lists kinds of credential: `session`, `jwt:NAME` (`jwt` where there is one issuer), `opaque`, `api_key`, `mtls`,
`basic`, and `\"mtls+jwt\"`, which wants both; [credentials](credentials.md) says what each is. `\"anyone\"` alone makes a
route public: credentials are not even read. In a list it makes them optional: none will do, but one that is presented and
fails is refused. A route without `accept` is an error, and so is one that nothing can satisfy.

## Rules

Any `deny` rule that matches refuses; then, where there are `allow` rules, one must match. Keys within a rule must all
fit; a list fits if one of its entries does, but for `permissions` and `scopes`, of which all are needed.

## Admin socket

`[admin] socket` is off by default. With a store on Redis, `portcullis keys` and `portcullis sessions` speak to Redis
directly; with `memory:` only the running process has the state, so they need this socket.

# Reference
";

/// The whole text.
pub(super) fn text() -> String {
    let mut text = INTRODUCTION.to_owned();
    section("", "", ROOT, &mut text);
    text
}

fn section(path: &str, doc: &str, keys: &'static [Key], text: &mut String) {
    let available = || keys.iter().filter(|key| key.is_available());
    if !path.is_empty() {
        let _ = write!(text, "\n## `{path}`\n\n{doc}\n");
    }
    let plain: Vec<_> = available().filter(|key| tables(&key.shape).is_none()).collect();
    if !plain.is_empty() {
        text.push_str("\n| key | value | default | |\n|---|---|---|---|\n");
    }
    for key in plain {
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} |",
            key.name,
            cell(&kind(&key.shape)),
            cell(&default(key)),
            cell(key.doc)
        );
    }
    for key in available() {
        if let Some((suffix, keys)) = tables(&key.shape) {
            let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            section(&format!("{path}{suffix}"), key.doc, keys, text);
        }
    }
}

/// The keys of a table, and how its path goes on.
fn tables(shape: &'static Shape) -> Option<(&'static str, &'static [Key])> {
    match shape {
        Shape::Table(keys) => Some(("", keys)),
        Shape::Map(Shape::Table(keys)) | Shape::ByHost(Shape::Table(keys)) => Some((".NAME", keys)),
        Shape::List(Shape::Table(keys)) => Some(("[]", keys)),
        _ => None,
    }
}

fn kind(shape: &Shape) -> String {
    match shape {
        Shape::Boolean => "boolean".to_owned(),
        Shape::Integer { min, max } => format!("{min} … {max}"),
        Shape::Text => "text".to_owned(),
        Shape::Path => "path".to_owned(),
        Shape::Duration { .. } => "duration".to_owned(),
        Shape::Size => "size".to_owned(),
        Shape::Secret => "secret".to_owned(),
        Shape::Choice { now, .. } => now.iter().map(|word| format!("`\"{word}\"`")).collect::<Vec<_>>().join(", "),
        Shape::List(inner) => format!("list: {}", kind(inner)),
        Shape::Map(inner) | Shape::ByHost(inner) => format!("by name: {}", kind(inner)),
        Shape::Either(shapes) => shapes.iter().map(kind).collect::<Vec<_>>().join(" or "),
        Shape::Table(keys) => {
            let names: Vec<_> = keys.iter().map(|key| format!("{} = …", key.name)).collect();
            format!("`{{ {} }}`", names.join(", "))
        }
        Shape::Partial { .. } => "the keys of a route".to_owned(),
        Shape::Later => String::new(),
    }
}

fn default(key: &Key) -> String {
    match &key.presence {
        Presence::Required => "**required**".to_owned(),
        Presence::Default(Given::Text(text)) => format!("`\"{text}\"`"),
        Presence::Default(Given::Integer(number)) => format!("`{number}`"),
        Presence::Default(Given::Boolean(truth)) => format!("`{truth}`"),
        Presence::Default(Given::Texts([])) => "`[]`".to_owned(),
        Presence::Default(Given::Texts(texts)) => format!("`{texts:?}`"),
        Presence::Default(Given::Table) | Presence::Optional => String::new(),
    }
}

fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}
