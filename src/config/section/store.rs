//! `[store]`

use std::path::Path;

use url::Url;

use crate::config::keys::{DURATION, Given, Key, Shape};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::model::Secret;
use crate::model::settings::{RedisAddress, RedisSettings, StoreKind, StoreSettings};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new(
        "url",
        Shape::Text,
        "`memory:` (in this process), `memory:FILE` (kept through restarts), `redis://HOST[:PORT][/DB]`, `rediss://…` (TLS) or `redis+unix:///PATH[?db=N]`.",
    )
    .default(Given::Text("memory:")),
    Key::new("username", Shape::Text, "ACL user of Redis."),
    Key::new("password", Shape::Secret, "Password of Redis."),
    Key::new("ca", Shape::Path, "Certificates to trust for `rediss://` instead of the system's, PEM."),
    Key::new("prefix", Shape::Text, "What every key in Redis begins with.").default(Given::Text("pc:")),
    Key::new("timeout", DURATION, "How long one call may take.").default(Given::Text("50ms")),
    Key::new("replicas", Shape::Integer { min: 1, max: 100_000 }, "How many instances share it.")
        .default(Given::Integer(1)),
];

const URL_HELP: &str =
    "\"memory:\", \"memory:FILE\", \"redis://HOST:6379/0\", \"rediss://HOST:6379/0\" or \"redis+unix:///PATH\"";

/// Schemes that a later version brings.
const LATER: [&str; 5] = ["redis+cluster", "rediss+cluster", "redis+sentinel", "rediss+sentinel", "valkey"];

pub(in crate::config) fn read(context: &Context<'_>) -> Option<StoreSettings> {
    let section = context.section("store")?;
    let kind = section.parse("url", |text| kind(text, &section));
    if matches!(kind, Some(StoreKind::Memory { .. })) {
        for key in ["username", "password", "ca"].into_iter().filter(|key| section.has(key)) {
            let fault = Fault::new(format!("`store.{key}` is for Redis, and `store.url` is `memory:`"));
            section.problem(key, fault.help("store.url = \"redis://HOST:6379\""));
        }
    }
    Some(StoreSettings {
        kind: kind?,
        prefix: section.text("prefix")?.to_owned(),
        timeout: section.duration("timeout"),
        replicas: u32::try_from(section.count("replicas")).unwrap_or(1),
    })
}

fn kind(text: &str, section: &Section<'_>) -> Result<StoreKind, Fault> {
    let base = section.context.sources.base(section.place_of("url"));
    let (scheme, rest) = text.split_once(':').ok_or_else(|| Fault::new("not a store").help(URL_HELP))?;
    match scheme {
        "memory" if rest.starts_with("//") => {
            Err(Fault::new("`memory:` takes no host").help("\"memory:\" or \"memory:FILE\""))
        }
        "memory" => Ok(StoreKind::Memory { file: (!rest.is_empty()).then(|| base.join(rest)) }),
        "redis" | "rediss" | "redis+unix" => redis(scheme, text, base, section),
        later if LATER.contains(&later) => {
            Err(Fault::new(format!("`{later}:` is not available in this version")).help(URL_HELP))
        }
        _ => Err(Fault::new("not a store").help(URL_HELP)),
    }
}

fn redis(scheme: &str, text: &str, base: &Path, section: &Section<'_>) -> Result<StoreKind, Fault> {
    let wrong = |what: &str| Fault::new(what).help(URL_HELP);
    let url = Url::parse(text).map_err(|_| wrong("not a URL"))?;
    let from_environment = section.node("url").is_some_and(|node| node.variable.is_some());
    let inline = url.password().map(|password| decode(password).map(Secret::new)).transpose()?;
    if inline.is_some() && !from_environment {
        let fault = Fault::new("`store.url` holds a password, which is a secret and must not be written here");
        return Err(fault.help("store.password = { env = \"NAME\" } or { file = \"PATH\" }"));
    }
    if inline.is_some() && section.has("password") {
        return Err(Fault::new("a password in `store.url` and another in `store.password`").help("keep one of them"));
    }
    let user = Some(url.username()).filter(|user| !user.is_empty()).map(decode).transpose()?;
    if user.is_some() && section.has("username") {
        return Err(Fault::new("a user in `store.url` and another in `store.username`").help("keep one of them"));
    }
    if section.has("ca") && scheme != "rediss" {
        section.problem("ca", Fault::new("`store.ca` is for `rediss://`: this connection is not encrypted"));
    }
    let (address, database) = address(scheme, &url, base, section)?;
    let username = user.or_else(|| section.text("username").map(str::to_owned));
    let password = inline.or_else(|| section.secret_text("password"));
    if username.is_some() && password.is_none() && !section.has("password") {
        return Err(Fault::new("a user without a password").help("store.password = { env = \"NAME\" }"));
    }
    Ok(StoreKind::Redis(RedisSettings { address, database, username, password }))
}

fn address(scheme: &str, url: &Url, base: &Path, section: &Section<'_>) -> Result<(RedisAddress, i64), Fault> {
    let wrong = |what: &str| Fault::new(what).help(URL_HELP);
    let number = |text: &str| match text {
        "" => Ok(0),
        text => text.parse::<u16>().map(i64::from).map_err(|_| wrong("the database is not a number")),
    };
    let host = url.host_str().unwrap_or_default();
    if scheme == "redis+unix" {
        let mut database = 0;
        for (key, value) in url.query_pairs() {
            match key.as_ref() {
                "db" => database = number(&value)?,
                _ => return Err(wrong("`redis+unix:` has no such parameter")),
            }
        }
        // `redis+unix://run/redis.sock` has lost a slash: `run` would be a host.
        if !host.is_empty() || url.path().len() < 2 {
            return Err(wrong("`redis+unix:` wants a path").help("\"redis+unix:///run/redis/redis.sock\""));
        }
        return Ok((RedisAddress::Unix(base.join(decode(url.path())?)), database));
    }
    if host.is_empty() {
        return Err(wrong("no host"));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("no `?` or `#` belongs there"));
    }
    let database = number(url.path().trim_start_matches('/'))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = url.port().unwrap_or(6379);
    let address = match scheme {
        "rediss" => RedisAddress::Tls { host, port, ca: section.path("ca") },
        _ => RedisAddress::Tcp { host, port },
    };
    Ok((address, database))
}

fn decode(text: &str) -> Result<String, Fault> {
    let decoded = percent_encoding::percent_decode_str(text).decode_utf8();
    decoded.map(std::borrow::Cow::into_owned).map_err(|_| Fault::new("an escape that is not valid UTF-8"))
}
