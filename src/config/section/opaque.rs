//! `[opaque]`

use super::issuer::{self, CLAIMS};
use super::issuer_keys::{fetchable, is_loopback};
use crate::config::keys::{DURATION, Given, Key, Shape, TEXTS};
use crate::config::reader::Context;
use crate::config::report::Fault;
use crate::model::settings::{ClientSecretMethod, OpaqueSettings};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new("introspection_url", Shape::Text, "The endpoint that says what a token means.").required(),
    Key::new("issuer", Shape::Text, "The exact issuer of the principals; an `iss` in an answer must be this.")
        .required(),
    Key::new("audiences", TEXTS, "At least one of these must be in the answer's `aud`.").required(),
    Key::new(
        "allow_missing_audience",
        Shape::Boolean,
        "Accept answers without `aud`: then every active token of the issuer counts here, for whomever it was issued.",
    )
    .default(Given::Boolean(false)),
    Key::new("client_id", Shape::Text, "Who asks.").required(),
    Key::new("client_secret", Shape::Secret, "And proves it with this.").required(),
    Key::new(
        "client_auth",
        Shape::Choice { now: &["basic", "post"], later: &[] },
        "Whether that goes into `Authorization` or into the form.",
    )
    .default(Given::Text("basic")),
    Key::new("ca", Shape::Path, "Certificates to trust instead of the system's, PEM."),
    Key::new("timeout", DURATION, "How long one call may take.").default(Given::Text("2s")),
    Key::new(
        "cache",
        DURATION,
        "How long an answer is believed at most: a revocation at the issuer is seen no sooner.",
    )
    .default(Given::Text("60s")),
    Key::new("max_size", Shape::Size, "Longest token.").default(Given::Text("4KiB")),
    Key::new("claims", Shape::Table(CLAIMS), "Where in the answer to look: names, or JSON pointers (`\"/a/b\"`).")
        .default(Given::Table),
];

/// More would make the issuer's word on what is revoked worth nothing.
const LONGEST_CACHE: std::time::Duration = std::time::Duration::from_secs(3600);

pub(in crate::config) fn read(context: &Context<'_>) -> Option<OpaqueSettings> {
    let section = context.section("opaque")?;
    let url = section.parse("introspection_url", |text| {
        let url = fetchable(text)?;
        if url.scheme() == "http" && !is_loopback(&url) {
            let fault = Fault::new("tokens and the client's secret would travel in clear text");
            return Err(fault.help("https://…, or http to a loopback address"));
        }
        Ok(text.to_owned())
    });
    issuer::check_foreign(&section, "issuer");
    section.not_empty("audiences", "what its tokens have in `aud`: audiences = [\"orders\"]");
    if section.boolean("allow_missing_audience") {
        let fault = Fault::new("every active token of the issuer counts here, for whomever it was issued");
        section.warning("allow_missing_audience", fault.help("have the issuer answer with `aud`"));
    }
    if section.duration("cache") > LONGEST_CACHE {
        let fault = Fault::new("an answer that is believed for more than an hour is no answer");
        section.problem("cache", fault.help("a token revoked at the issuer would count all that time: \"60s\""));
    }
    let claims = section.table("claims")?;
    Some(OpaqueSettings {
        introspection_url: url?,
        issuer: section.shared_text("issuer")?,
        audiences: section.shared_texts("audiences"),
        allow_missing_audience: section.boolean("allow_missing_audience"),
        client_id: section.text("client_id")?.to_owned(),
        client_secret: section.secret_text("client_secret")?,
        client_auth: match section.text("client_auth") {
            Some("post") => ClientSecretMethod::Post,
            _ => ClientSecretMethod::Basic,
        },
        ca: section.path("ca"),
        timeout: section.duration("timeout"),
        cache: section.duration("cache"),
        max_size: section.size("max_size"),
        claims: issuer::pointers(&claims),
    })
}
