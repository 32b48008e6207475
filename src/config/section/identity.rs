//! `identity`: how the upstream learns who it is.

use http::HeaderName;

use super::header;
use crate::config::keys::{Given, Key, Shape};
use crate::config::reader::{Context, Section};
use crate::config::report::Fault;
use crate::config::suggest;
use crate::model::settings::{CertificateHeaders, HeaderPreset, IdentityField, IdentityHeaders, Xfcc};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new(
        "preset",
        Shape::Choice {
            now: &["x-auth", "remote-user", "oauth2-proxy", "xfcc", "client-cert", "none"],
            later: &[],
        },
        "A set of well-known header names.",
    )
    .default(Given::Text("x-auth")),
    Key::new(
        "headers",
        Shape::Map(&Shape::Text),
        "Own names, besides or instead: `{ x-user = \"subject\", x-plan = \"claim:/plan\" }`.",
    ),
    Key::new(
        "certificate",
        Shape::List(&Shape::Choice { now: CERTIFICATE, later: &[] }),
        "What is told of the connection's client certificate, besides: `X-Forwarded-Client-Cert` (also with `Cert`, `Chain`), \
         `Client-Cert`, `Client-Cert-Chain`.",
    )
    .default(Given::Texts(&[])),
    Key::new("assertion", Shape::Boolean, "Whether the signed assertion is sent.").default(Given::Boolean(false)),
];

const CERTIFICATE: &[&str] = &["xfcc", "xfcc:cert", "xfcc:chain", "client-cert", "client-cert-chain"];

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
        Some("none" | "xfcc" | "client-cert") => HeaderPreset::None,
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
    let certificate = certificate(section);
    IdentityHeaders { preset, headers, certificate, assertion: section.boolean("assertion") }
}

fn certificate(section: &Section<'_>) -> CertificateHeaders {
    let mut told = CertificateHeaders::default();
    match section.text("preset") {
        Some("xfcc") => told.xfcc = Some(Xfcc::default()),
        Some("client-cert") => (told.client_cert, told.client_cert_chain) = (true, true),
        _ => {}
    }
    for (what, place) in section.texts("certificate") {
        match what {
            "xfcc" => _ = told.xfcc.get_or_insert_default(),
            "xfcc:cert" => told.xfcc.get_or_insert_default().cert = true,
            "xfcc:chain" => told.xfcc.get_or_insert_default().chain = true,
            "client-cert" => told.client_cert = true,
            _ => {
                told.client_cert_chain = true;
                // RFC 9440, section 2.3: never without the certificate that it is the chain of.
                if !told.client_cert && !section.texts("certificate").any(|(other, _)| other == "client-cert") {
                    let fault = Fault::new("`client-cert-chain` without `client-cert`");
                    section
                        .context
                        .report
                        .problem(place, fault.help("certificate = [\"client-cert\", \"client-cert-chain\"]"));
                }
            }
        }
    }
    told
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
