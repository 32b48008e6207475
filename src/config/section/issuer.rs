//! `[issuer.NAME]`

use std::path::PathBuf;
use std::sync::Arc;

use super::{issuer_keys, preset};
use crate::config::keys::{Given, Key, Shape, TEXTS};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::config::source::Place;
use crate::model::identity::{BASIC_ISSUER, LOCAL_ISSUER, MTLS_ISSUER};
use crate::model::settings::{Algorithm, ClaimPointers, IssuerSettings, KeySource};

/// What rules call Portcullis's own principals; no issuer may have this name.
pub(super) const LOCAL: &str = "local";

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new(
        "url",
        Shape::Text,
        "The exact `iss` of its tokens; without `keys`, the keys are found there by discovery.",
    )
    .required(),
    Key::new("audiences", TEXTS, "At least one of these must be in `aud`.").required(),
    Key::new("preset", Shape::Choice { now: preset::NAMES, later: &[] }, "Where a known provider has its claims."),
    Key::new(
        "algorithms",
        Shape::List(&Shape::Choice { now: ALGORITHMS, later: &[] }),
        "Allowed algorithms; by default the asymmetric ones, with `keys.secret` only \"HS256\".",
    ),
    Key::new("typ", TEXTS, "Accepted `typ` values; by default any but those that name another kind of token."),
    Key::new("leeway", Shape::Duration { zero: true }, "Tolerated difference of clocks.").default(Given::Text("30s")),
    Key::new("required_claims", TEXTS, "Claims that must be there besides `exp` and `sub`.").default(Given::Texts(&[])),
    Key::new(
        "sender_constrained",
        Shape::Boolean,
        "Refuse its tokens unless they are bound (`cnf`) to a key, proved by DPoP, or to a client certificate.",
    )
    .default(Given::Boolean(false)),
    Key::new("max_lifetime", crate::config::keys::DURATION, "`exp` may lie at most this far after `iat`.")
        .default(Given::Text("24h")),
    Key::new("max_size", Shape::Size, "Longest token.").default(Given::Text("8KiB")),
    Key::new("keys", Shape::Table(issuer_keys::KEYS), "Where its keys come from, if not by discovery.")
        .default(Given::Table),
    Key::new("claims", Shape::Table(CLAIMS), "Where in the claims to look: names, or JSON pointers (`\"/a/b\"`).")
        .default(Given::Table),
    Key::later("login"),
    Key::later("introspection"),
];

pub(super) const CLAIMS: &[Key] = &[
    Key::new("roles", Shape::Text, "Roles: an array of strings, or one string.").default(Given::Text("roles")),
    Key::new("groups", Shape::Text, "Groups, likewise.").default(Given::Text("groups")),
    Key::new("scopes", Shape::Text, "Scopes, likewise; a string is split at spaces.").default(Given::Text("scope")),
    Key::new("tenant", Shape::Text, "Tenant."),
    Key::new("email", Shape::Text, "E-mail address.").default(Given::Text("email")),
    Key::new("name", Shape::Text, "Display name.").default(Given::Text("name")),
];

const ALGORITHMS: &[&str] =
    &["HS256", "HS384", "HS512", "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA"];

/// More would make expired tokens valid rather than tolerate clocks.
const MAX_LEEWAY: std::time::Duration = std::time::Duration::from_secs(600);

pub(in crate::config) fn read(context: &Context<'_>) -> Vec<Arc<IssuerSettings>> {
    let mut urls: Vec<(&str, Place)> = Vec::new();
    let mut snapshots: Vec<(PathBuf, Place)> = Vec::new();
    let named = context.named("issuer");
    let issuers = named.iter().filter_map(|(name, section)| {
        if let Some(url) = section.text("url") {
            if let Some((_, place)) = urls.iter().find(|(known, _)| *known == url) {
                let fault = Fault::new("two issuers with the same `url`: a token could be of either");
                section.problem("url", fault.and(*place, "the other one"));
            }
            urls.push((url, section.place_of("url")));
        }
        if let Some(keys) = section.table("keys")
            && let Some(path) = keys.path("snapshot")
        {
            if let Some((_, place)) = snapshots.iter().find(|(known, _)| *known == path) {
                let fault = Fault::new("two issuers with the same `snapshot`: each would overwrite the other's");
                keys.problem("snapshot", fault.and(*place, "the other one"));
            }
            snapshots.push((path, keys.place_of("snapshot")));
        }
        issuer(name, section)
    });
    issuers.map(Arc::new).collect()
}

fn issuer(name: &Arc<str>, section: &Section<'_>) -> Option<IssuerSettings> {
    let report = section.context.report;
    if **name == *LOCAL {
        let fault = Fault::new("no issuer can be called `local`");
        report.problem(section.place, fault.help("`local/…` are Portcullis's own principals"));
    }
    check_foreign(section, "url");
    section.not_empty("audiences", "what its tokens have in `aud`: audiences = [\"orders\"]");
    section.not_empty("algorithms", "leave it out for the asymmetric ones");
    if section.duration("leeway") > MAX_LEEWAY {
        section.problem("leeway", Fault::new("a leeway of more than 10 minutes is no difference of clocks"));
    }
    let keys = issuer_keys::read(section);
    let algorithms = algorithms(section, keys.as_ref());
    let claims = section.table("claims")?;
    Some(IssuerSettings {
        name: name.clone(),
        issuer: section.shared_text("url")?,
        audiences: section.shared_texts("audiences"),
        algorithms,
        types: section.texts("typ").map(|(typ, _)| media_type(typ)).collect(),
        leeway: section.duration("leeway"),
        required_claims: section.shared_texts("required_claims"),
        sender_constrained: section.boolean("sender_constrained"),
        max_lifetime: section.duration("max_lifetime"),
        max_size: section.size("max_size"),
        keys: keys?,
        claims: pointers(&claims),
    })
}

/// Nobody else may speak for the principals that Portcullis itself makes out.
pub(super) fn check_foreign(section: &Section<'_>, key: &str) {
    let own = [LOCAL_ISSUER, MTLS_ISSUER, BASIC_ISSUER].into_iter().find(|own| section.text(key) == Some(own));
    if let Some(own) = own {
        section.problem(key, Fault::new(format!("`{own}` is the issuer of Portcullis's own principals")));
    }
}

/// `application/at+jwt` and `AT+JWT` are the same type (RFC 7515, section 4.1.9).
fn media_type(typ: &str) -> Arc<str> {
    let typ = typ.to_ascii_lowercase();
    typ.strip_prefix("application/").unwrap_or(&typ).into()
}

/// The allowed algorithms; all must fit the kind of key, so that no public key is ever used as a shared secret.
fn algorithms(section: &Section<'_>, keys: Option<&KeySource>) -> Vec<Algorithm> {
    let symmetric = matches!(keys, Some(KeySource::Secret(_)));
    let mut chosen: Vec<Algorithm> = match (section.has("algorithms"), symmetric) {
        (true, _) => Vec::new(),
        (false, true) => vec![Algorithm::HS256],
        (false, false) => Algorithm::ALL.into_iter().filter(|a| !a.is_symmetric()).collect(),
    };
    for (text, place) in section.texts("algorithms") {
        let Some(algorithm) = Algorithm::parse(text) else { continue };
        if keys.is_some() && algorithm.is_symmetric() != symmetric {
            let fault = Fault::new(format!("`{text}` does not fit the keys of `{}`", section.path));
            let help =
                if symmetric { "with `keys.secret`: HS256, HS384, HS512" } else { "the HS family needs `keys.secret`" };
            section.context.report.problem(place, fault.help(help));
        }
        chosen.push(algorithm);
    }
    if let Some(KeySource::Secret(secret)) = keys {
        let wanted = |a: &Algorithm| match a {
            Algorithm::HS512 => 64,
            Algorithm::HS384 => 48,
            _ => 32,
        };
        check_length(section, secret.expose().len(), chosen.iter().map(wanted).max().unwrap_or(32));
    }
    chosen
}

/// A shared secret is at least as long as the hash (RFC 7518, section 3.2).
fn check_length(section: &Section<'_>, found: usize, wanted: usize) {
    if found < wanted
        && let Some(keys) = section.table("keys")
    {
        let fault = Fault::new(format!("`{}.secret` is shorter than {wanted} bytes", keys.path));
        keys.problem("secret", fault.help("RFC 7518, section 3.2: at least as long as the hash"));
    }
}

pub(super) fn pointers(section: &Section<'_>) -> ClaimPointers {
    let pointer = |key: &str| self::pointer(section, key);
    ClaimPointers {
        roles: pointer("roles"),
        groups: pointer("groups"),
        scopes: pointer("scopes"),
        tenant: pointer("tenant"),
        email: pointer("email"),
        name: pointer("name"),
    }
}

/// A plain name, or a JSON pointer (RFC 6901).
pub(super) fn pointer(section: &Section<'_>, key: &str) -> Option<Arc<str>> {
    section.parse(key, |text| {
        let mut escapes = text.split('~').skip(1);
        if text.starts_with('/') && !escapes.all(|rest| rest.starts_with(['0', '1'])) {
            return Err(Fault::new("not a JSON pointer").help("`~` is written `~0`, and `/` within a name `~1`"));
        }
        Ok(text.into())
    })
}
