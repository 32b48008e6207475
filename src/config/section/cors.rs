//! `[route.NAME.cors]`

use http::{HeaderName, Method};

use super::{listener, pattern};
use crate::config::keys::{Given, Key, Shape, TEXTS};
use crate::config::reader::Section;
use crate::config::report::Fault;
use crate::model::settings::{CorsOrigins, CorsSettings};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "origins",
        TEXTS,
        "Whose pages may read answers: `\"https://app.example.com\"`, compared exactly; `\"*\"` alone: anybody's.",
    )
    .required(),
    Key::new("methods", TEXTS, "With which methods.").default(Given::Texts(&["GET", "HEAD", "POST"])),
    Key::new("headers", TEXTS, "Which headers they may send besides those that every page may: `\"authorization\"`, say.")
        .default(Given::Texts(&[])),
    Key::new("expose", TEXTS, "Which headers of answers they may read besides those that every page may.")
        .default(Given::Texts(&[])),
    Key::new(
        "credentials",
        Shape::Boolean,
        "Whether they may read what cookies and client certificates open. To change anything with those, an origin must \
         also be one of the route's `origins`.",
    )
    .default(Given::Boolean(false)),
    Key::new("max_age", Shape::Duration { zero: true }, "How long a browser may remember what a preflight was told.")
        .default(Given::Text("10m")),
];

/// Reads `cors`.
pub(super) fn read(section: &Section<'_>) -> CorsSettings {
    section.not_empty("origins", "origins = [\"https://app.example.com\"]");
    section.not_empty("methods", "leave the key out, or name at least one");
    let credentials = section.boolean("credentials");
    CorsSettings {
        origins: origins(section, credentials),
        methods: section.parse_list("methods", method),
        headers: section.parse_list("headers", header),
        expose: section.parse_list("expose", header),
        credentials,
        max_age: section.duration("max_age"),
    }
}

fn origins(section: &Section<'_>, credentials: bool) -> CorsOrigins {
    if !section.texts("origins").any(|(text, _)| text == "*") {
        return CorsOrigins::These(section.parse_list("origins", listener::origin));
    }
    if section.list("origins").len() > 1 {
        let fault = Fault::new("`*` is everybody, whoever else is named");
        section.problem("origins", fault.help("origins = [\"*\"], or a list of origins"));
    }
    if credentials {
        let fault = Fault::new("any page could read what its visitors' cookies open");
        section.problem("credentials", fault.help("name the origins, or leave `credentials` out"));
    }
    CorsOrigins::Any
}

fn method(text: &str) -> Result<Method, Fault> {
    if text == "*" {
        return Err(Fault::new("`*` is no method").help("name them: methods = [\"GET\", \"PUT\"]"));
    }
    pattern::method(text)
}

/// A header by its name: what `*` means depends on the browser and on credentials.
fn header(text: &str) -> Result<HeaderName, Fault> {
    let wrong = || Fault::new(format!("`{text}` is no header name")).help("name them: \"content-type\"");
    if text == "*" { Err(wrong()) } else { text.parse().map_err(|_| wrong()) }
}
