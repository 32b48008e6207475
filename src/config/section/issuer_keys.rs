//! `[issuer.NAME.keys]`

use url::{Host, Url};

use crate::config::keys::{DURATION, Given, Key, Shape};
use crate::config::reader::Section;
use crate::config::report::Fault;
use crate::model::settings::{JwksSettings, KeySource};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("jwks_url", Shape::Text, "A JWKS at a URL."),
    Key::new("jwks_file", Shape::Path, "A JWKS in a file."),
    Key::new("pem_file", Shape::Path, "One public key, PEM."),
    Key::new("secret", Shape::Secret, "A shared secret, for the HS family."),
    Key::new("ca", Shape::Path, "Certificates to trust instead of the system's, PEM."),
    Key::new("refresh", DURATION, "How often a JWKS is fetched anew, whatever its server says of caching.")
        .default(Given::Text("5m")),
    Key::new("min_interval", DURATION, "How soon a token that no key fits may cause another fetch.")
        .default(Given::Text("10s")),
    Key::new("max_age", DURATION, "How long the last good set is used when fetching fails; then 503.")
        .default(Given::Text("24h")),
    Key::new("timeout", DURATION, "How long one fetch may take.").default(Given::Text("5s")),
    Key::new(
        "snapshot",
        Shape::Path,
        "A file that keeps the last good set for starts while fetching fails, no longer than `max_age`. Whoever can write it can sign tokens.",
    ),
];

const SOURCES: [&str; 4] = ["jwks_url", "jwks_file", "pem_file", "secret"];
const FETCHING: [&str; 6] = ["ca", "refresh", "min_interval", "max_age", "timeout", "snapshot"];

/// Reads where the keys of an issuer come from.
pub(super) fn read(issuer: &Section<'_>) -> Option<KeySource> {
    let section = issuer.table("keys")?;
    let named: Vec<&str> = SOURCES.into_iter().filter(|key| section.has(key)).collect();
    if let [first, second, ..] = named.as_slice() {
        let fault = Fault::new(format!("`{}` has both `{first}` and `{second}`", section.path));
        section.problem(second, fault.and(section.place_of(first), "the other one").help("keep one of them"));
    }
    let source = named.first().copied();
    if !matches!(source, None | Some("jwks_url")) {
        for key in FETCHING.into_iter().filter(|key| section.is_written(key)) {
            let fault = Fault::new(format!("`{}.{key}` is for keys that are fetched", section.path));
            section.problem(key, fault.help("leave it out, or use `jwks_url`"));
        }
    }
    let jwks = JwksSettings {
        ca: section.path("ca"),
        refresh: section.duration("refresh"),
        min_interval: section.duration("min_interval"),
        max_age: section.duration("max_age"),
        timeout: section.duration("timeout"),
        snapshot: section.path("snapshot"),
    };
    if jwks.max_age < jwks.refresh {
        section.problem("max_age", Fault::new("`max_age` is shorter than `refresh`: keys would come and go"));
    }
    match source {
        None => {
            check_url(issuer, "url")?;
            Some(KeySource::Discovery(jwks))
        }
        Some("jwks_url") => {
            check_url(&section, "jwks_url")?;
            Some(KeySource::JwksUrl { url: section.text("jwks_url")?.to_owned(), jwks })
        }
        Some("jwks_file") => section.path("jwks_file").map(KeySource::JwksFile),
        Some("pem_file") => section.path("pem_file").map(KeySource::PemFile),
        _ => section.secret("secret").cloned().map(KeySource::Secret),
    }
}

fn check_url(section: &Section<'_>, key: &str) -> Option<()> {
    let url = section.parse(key, fetchable)?;
    if url.scheme() == "http" && !is_loopback(&url) {
        let fault = Fault::new("keys fetched over clear text can be replaced by anybody on the way");
        section.warning(key, fault.help("https://…"));
    }
    Some(())
}

pub(super) fn is_loopback(url: &Url) -> bool {
    match url.host() {
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        None => false,
    }
}

/// A URL that keys may be fetched from: never the link-local addresses where clouds keep credentials.
pub(super) fn fetchable(text: &str) -> Result<Url, Fault> {
    let wrong = |what: &str| Fault::new(what).help("\"https://id.example.com/…\", or `keys` for keys from elsewhere");
    let url = Url::parse(text).map_err(|_| wrong("not a URL"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host().is_none() {
        return Err(wrong("not an `https:` URL"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("a URL with a user or password"));
    }
    if url.fragment().is_some() {
        return Err(wrong("a URL with a fragment"));
    }
    let link_local = match url.host() {
        Some(Host::Ipv4(address)) => address.is_link_local() || address.is_unspecified(),
        Some(Host::Ipv6(address)) => {
            let mapped = address.to_ipv4_mapped().is_some_and(|v4| v4.is_link_local());
            mapped || address.is_unicast_link_local() || address.is_unspecified()
        }
        _ => false,
    };
    if link_local { Err(wrong("link-local addresses are never asked")) } else { Ok(url) }
}
