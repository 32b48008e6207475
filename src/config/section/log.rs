//! `[log]`

use crate::config::keys::{Given, Key, Shape};
use crate::config::reader::Context;
use crate::config::report::Fault;
use crate::config::suggest;
use crate::model::settings::LogSettings;

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("format", Shape::Choice { now: &["text", "json"], later: &[] }, "Text, or one JSON object a line.")
        .default(Given::Text("text")),
    Key::new("level", Shape::Text, "The least level that is written, or a filter: `\"info,portcullis::edge=debug\"`.")
        .default(Given::Text("info")),
    Key::new("access", Shape::Boolean, "Whether each request is logged; denials always are.")
        .default(Given::Boolean(true)),
];

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

pub(in crate::config) fn read(context: &Context<'_>) -> Option<LogSettings> {
    let section = context.section("log")?;
    let level = section.parse("level", level).unwrap_or_default();
    Some(LogSettings { json: section.text("format") == Some("json"), level, access: section.boolean("access") })
}

fn level(text: &str) -> Result<String, Fault> {
    for directive in text.split(',') {
        let level = directive.rsplit('=').next().unwrap_or_default().trim();
        if !LEVELS.contains(&level.to_ascii_lowercase().as_str()) {
            return Err(Fault::new(format!("`{level}` is no log level")).help(suggest::hint(level, LEVELS)));
        }
    }
    Ok(text.to_owned())
}
