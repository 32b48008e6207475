//! `identity`: how the upstream learns who it is.

use http::HeaderName;

use super::header;
use crate::config::keys::{Given, Key, Later, Shape};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::config::suggest;
use crate::model::settings::{HeaderPreset, IdentityField, IdentityHeaders};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new(
        "preset",
        Shape::Choice {
            now: &["x-auth", "remote-user", "oauth2-proxy", "none"],
            later: &[Later::new("xfcc", "preset = \"x-auth\"")],
        },
        "A set of well-known header names.",
    )
    .default(Given::Text("x-auth")),
    Key::new(
        "headers",
        Shape::Map(&Shape::Text),
        "Own names, besides or instead: `{ x-user = \"subject\", x-plan = \"claim:/plan\" }`.",
    ),
    Key::new("assertion", Shape::Boolean, "Whether the signed assertion is sent.").default(Given::Boolean(false)),
];

const FIELDS: [(&str, IdentityField); 11] = [
    ("subject", IdentityField::Subject),
    ("issuer", IdentityField::Issuer),
    ("method", IdentityField::Method),
    ("roles", IdentityField::Roles),
    ("scopes", IdentityField::Scopes),
    ("groups", IdentityField::Groups),
    ("tenant", IdentityField::Tenant),
    ("email", IdentityField::Email),
    ("name", IdentityField::Name),
    ("session", IdentityField::Session),
    ("credential", IdentityField::Credential),
];

pub(super) fn read(section: &Section<'_>) -> IdentityHeaders {
    let preset = match section.text("preset") {
        Some("none") => HeaderPreset::None,
        Some("remote-user") => HeaderPreset::RemoteUser,
        Some("oauth2-proxy") => HeaderPreset::OAuth2Proxy,
        _ => HeaderPreset::XAuth,
    };
    let mut headers: Vec<(HeaderName, IdentityField)> = Vec::new();
    for (key, node) in section.table("headers").into_iter().flat_map(|headers| headers.entries()) {
        let report = section.context.report;
        let name = name(key, section.context).map_err(|fault| report.problem(node.key, fault));
        let field = match &node.node.value {
            crate::config::tree::Value::Text(text) => {
                field(text).map_err(|fault| report.problem(node.node.place, fault))
            }
            _ => Err(()),
        };
        let (Ok(name), Ok(field)) = (name, field) else { continue };
        let folded = header::fold(name.as_str());
        if headers.iter().any(|(known, _)| header::fold(known.as_str()) == folded) {
            report.problem(node.key, Fault::new(format!("`{name}` is another spelling of a header above")));
        }
        headers.push((name, field));
    }
    IdentityHeaders { preset, headers, assertion: section.boolean("assertion") }
}

fn name(text: &str, context: &Context<'_>) -> Result<HeaderName, Fault> {
    let name = header::own(text)?;
    let folded = header::fold(name.as_str());
    for (section, what) in [("api_key", "API keys"), ("assertion", "the assertion")] {
        let taken = context.section(section).and_then(|section| section.text("header").map(header::fold));
        if taken.as_deref() == Some(folded.as_str()) {
            return Err(Fault::new(format!("`{name}` is the header of {what}")).help("use another name"));
        }
    }
    Ok(name)
}

fn field(text: &str) -> Result<IdentityField, Fault> {
    if let Some(claim) = text.strip_prefix("claim:").filter(|claim| !claim.is_empty()) {
        return Ok(IdentityField::Claim(claim.into()));
    }
    let found = FIELDS.iter().find(|(name, _)| *name == text);
    let names = FIELDS.iter().map(|(name, _)| *name).chain(["claim:NAME"]);
    found
        .map(|(_, field)| field.clone())
        .ok_or_else(|| Fault::new(format!("`{text}` is nothing a header can tell")).help(suggest::hint(text, names)))
}
