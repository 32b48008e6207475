//! `[session.foreign]`: sessions that the application behind keeps.

use std::sync::Arc;

use super::issuer::{pointer, pointers};
use crate::config::keys::{Given, Key, Shape};
use crate::config::reader::Section;
use crate::config::report::Fault;
use crate::model::Secret;
use crate::model::identity::{BASIC_ISSUER, LOCAL_ISSUER, MTLS_ISSUER};
use crate::model::settings::{ForeignFormat, ForeignSettings, IdAlphabet, PhpHandler, SessionIdForm, SessionLayout};

pub(super) const KEYS: &[Key] = &[
    Key::new(
        "key_prefix",
        Shape::Text,
        "What keys in Redis begin with; default: `sess:` (connect-redis), `spring:session:sessions:`, `PHPREDIS_SESSION:`, none (json).",
    ),
    Key::new("secrets", Shape::List(&Shape::Secret), "connect-redis: what cookies may be signed with, newest first."),
    Key::new("id", Shape::Table(ID), "json: what an id looks like; nothing else is ever asked for.")
        .default(Given::Table),
    Key::new(
        "handler",
        Shape::Choice { now: &["php", "php_serialize"], later: &[] },
        "php: the application's `session.serialize_handler`.",
    )
    .default(Given::Text("php")),
    Key::new("issuer", Shape::Text, "The issuer of its principals; default: the layout's name."),
    Key::new("subject", Shape::Text, "Where the subject is: a string, or a whole number.").required(),
    Key::new("roles", Shape::Text, "Roles: an array of strings, or one string."),
    Key::new("groups", Shape::Text, "Groups, likewise."),
    Key::new("scopes", Shape::Text, "Scopes, likewise; a string is split at spaces."),
    Key::new("tenant", Shape::Text, "Tenant."),
    Key::new("email", Shape::Text, "E-mail address."),
    Key::new("name", Shape::Text, "Display name."),
    Key::new(
        "issued_at",
        Shape::Text,
        "When it began, for revocation; without it, revoking a principal revokes also what begins after.",
    ),
    Key::new(
        "expires",
        Shape::Text,
        "When it ends, besides what layout and Redis say: an RFC 3339 date, or seconds or milliseconds since 1970.",
    ),
];

const ID: &[Key] = &[
    Key::new(
        "alphabet",
        Shape::Choice { now: &["base64url", "alphanumeric", "hex"], later: &[] },
        "Its characters; `hex`: also `-`.",
    )
    .default(Given::Text("base64url")),
    Key::new("min", Shape::Integer { min: 16, max: 256 }, "Fewest characters.").default(Given::Integer(22)),
    Key::new("max", Shape::Integer { min: 16, max: 256 }, "Most characters.").default(Given::Integer(128)),
];

/// What a layout is by itself.
pub(super) struct Defaults {
    pub(super) cookie: Option<&'static str>,
    key_prefix: Option<&'static str>,
}

impl Defaults {
    /// `None`: our own layout, or none.
    pub(super) fn of(layout: &str) -> Option<Self> {
        let (cookie, key_prefix) = match layout {
            "connect-redis" => (Some("connect.sid"), Some("sess:")),
            "json" => (None, None),
            "spring" => (Some("SESSION"), Some("spring:session:sessions:")),
            "php" => (Some("PHPSESSID"), Some("PHPREDIS_SESSION:")),
            _ => return None,
        };
        Some(Self { cookie, key_prefix })
    }
}

/// A secret of fewer bytes can be guessed.
const SHORT: usize = 16;

/// The layout, from `[session]`.
pub(super) fn read(session: &Section<'_>) -> Option<SessionLayout> {
    let layout = session.text("layout")?;
    let Some(defaults) = Defaults::of(layout) else {
        if session.has("foreign") {
            let fault = Fault::new("`session.foreign` is for sessions of the application");
            session.problem("foreign", fault.help("layout = \"connect-redis\", \"json\", \"spring\" or \"php\""));
        }
        return Some(SessionLayout::Portcullis);
    };
    check_store(session, layout);
    if defaults.cookie.is_none() && !session.is_written("cookie") {
        let fault = Fault::new(format!("with `session.layout = \"{layout}\"` the cookie must be named"));
        session.problem("layout", fault.help("session.cookie = \"…\": the one that the application sets"));
    }
    let Some(section) = session.table("foreign") else {
        if !session.has("foreign") {
            let fault = Fault::new(format!("`session.layout = \"{layout}\"` does not say who is logged in"));
            session.problem("layout", fault.help("[session.foreign] subject = \"/user/id\": where in a session"));
        }
        return None;
    };
    let format = format(&section, layout);
    check_elsewhere(&section, layout);
    let key_prefix = section.text("key_prefix").or(defaults.key_prefix);
    if key_prefix.is_none() {
        let fault = Fault::new(format!("with `session.layout = \"{layout}\"` the keys must be named"));
        section.problem("key_prefix", fault.help("session.foreign.key_prefix = \"…\": what comes before the id"));
    }
    let issuer = section.text("issuer").unwrap_or(layout);
    if [LOCAL_ISSUER, MTLS_ISSUER, BASIC_ISSUER].contains(&issuer) {
        let fault = Fault::new(format!("`{issuer}` is the issuer of Portcullis's own principals"));
        section.problem("issuer", fault.help("its subjects must not be taken for those of the application"));
    }
    Some(SessionLayout::Foreign(Arc::new(ForeignSettings {
        format: format?,
        key_prefix: key_prefix?.to_owned(),
        issuer: issuer.into(),
        subject: pointer(&section, "subject")?,
        claims: pointers(&section),
        issued_at: pointer(&section, "issued_at"),
        expires: pointer(&section, "expires"),
    })))
}

/// The application's sessions are in a Redis of one server.
fn check_store(session: &Section<'_>, layout: &str) {
    let Some(store) = session.context.section("store") else { return };
    let scheme = store.text("url").and_then(|url| url.split(':').next()).unwrap_or_default();
    let problem = match scheme {
        "memory" => "needs the Redis that the application keeps them in, and `store.url` is `memory:`",
        _ if scheme.ends_with("+cluster") => "does not go with Redis Cluster: their keys are in other slots than ours",
        _ => return,
    };
    let fault = Fault::new(format!("`session.layout = \"{layout}\"` {problem}"));
    session.problem("layout", fault.help("store.url = \"redis://HOST:6379\""));
}

fn format(section: &Section<'_>, layout: &str) -> Option<ForeignFormat> {
    Some(match layout {
        "connect-redis" => ForeignFormat::ConnectRedis { secrets: secrets(section)? },
        "json" => ForeignFormat::Json { id: id(&section.table("id")?) },
        "spring" => ForeignFormat::Spring,
        _ => ForeignFormat::Php {
            handler: match section.text("handler")? {
                "php_serialize" => PhpHandler::PhpSerialize,
                _ => PhpHandler::Php,
            },
        },
    })
}

fn secrets(section: &Section<'_>) -> Option<Vec<Secret<Vec<u8>>>> {
    section.not_empty("secrets", "secrets = [{ env = \"NAME\" }]");
    if !section.has("secrets") {
        let fault = Fault::new("without `session.foreign.secrets` no cookie of `connect-redis` could be verified");
        section.problem("secrets", fault.help("secrets = [{ env = \"NAME\" }]: the `secret` of express-session"));
    }
    let secrets = section.secrets("secrets");
    if secrets.iter().any(|secret| secret.expose().len() < SHORT) {
        let fault = Fault::new(format!("a secret of fewer than {SHORT} bytes can be guessed"));
        section.warning("secrets", fault.help("express-session takes a list: add a new one before the old one"));
    }
    (!secrets.is_empty()).then_some(secrets)
}

fn id(section: &Section<'_>) -> SessionIdForm {
    let (min, max) = (section.count("min"), section.count("max"));
    if min > max {
        section.problem("min", Fault::new(format!("`{0}.min` is more than `{0}.max`", section.path)));
    }
    let alphabet = match section.text("alphabet") {
        Some("hex") => IdAlphabet::Hex,
        Some("alphanumeric") => IdAlphabet::Alphanumeric,
        _ => IdAlphabet::Base64url,
    };
    SessionIdForm { alphabet, min, max }
}

/// Keys that mean something with another layout alone.
fn check_elsewhere(section: &Section<'_>, layout: &str) {
    for (key, of) in [("secrets", "connect-redis"), ("id", "json"), ("handler", "php")] {
        if section.is_written(key) && layout != of {
            let fault = Fault::new(format!("`{}.{key}` is for `layout = \"{of}\"`", section.path));
            section.problem(key, fault.help(format!("it is \"{layout}\": leave it out")));
        }
    }
}
