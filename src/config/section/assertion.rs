//! `[assertion]`

use super::{header, pattern};
use crate::config::keys::{DURATION, Given, Key, Shape};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::model::settings::AssertionSettings;

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("issuer", Shape::Text, "Its `iss`.").default(Given::Text("portcullis")),
    Key::new(
        "key",
        Shape::Secret,
        "The signing key (EC P-256, PKCS#8, PEM); default: one made at start, kept in memory.",
    ),
    Key::new("header", Shape::Text, "The header it travels in.").default(Given::Text("x-auth-assertion")),
    Key::new("lifetime", DURATION, "How long each is valid.").default(Given::Text("60s")),
    Key::new("jwks_path", Shape::Text, "The public path of the keys that verify it; `\"none\"`: not served.")
        .default(Given::Text("/.well-known/portcullis/jwks.json")),
];

pub(in crate::config) fn read(context: &Context<'_>) -> Option<AssertionSettings> {
    let section = context.section("assertion")?;
    check_issuer(&section);
    let jwks_path = match section.text("jwks_path")? {
        "none" => None,
        _ => Some(section.parse("jwks_path", pattern::fixed)?.into()),
    };
    Some(AssertionSettings {
        issuer: section.shared_text("issuer")?,
        key: section.secret_text("key"),
        header: section.parse("header", header::own)?,
        lifetime: section.duration("lifetime"),
        jwks_path,
    })
}

/// An assertion is never a credential, so nobody whose tokens are may have its `iss`.
fn check_issuer(section: &Section<'_>) {
    for (name, issuer) in section.context.named("issuer") {
        if issuer.text("url").is_some() && issuer.text("url") == section.text("issuer") {
            let fault = Fault::new(format!("the assertion has the same `iss` as `issuer.{name}`"));
            let fault = fault.and(issuer.place_of("url"), "the issuer").help("give the assertion an `iss` of its own");
            section.problem("issuer", fault);
        }
    }
}
