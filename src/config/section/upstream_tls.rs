//! `[upstream.NAME.tls]`

use std::sync::Arc;

use crate::config::keys::{Key, Shape};
use crate::config::reader::Section;
use crate::config::report::Fault;
use crate::model::settings::{CertificateFiles, CertifiedName, UpstreamTls};

pub(super) const KEYS: &[Key] = &[
    Key::new("ca", Shape::Path, "Certificates to trust instead of the system's, PEM."),
    Key::new("server_name", Shape::Text, "The name to expect instead of the endpoint's host."),
    Key::new("certificate", Shape::Table(CERTIFICATE), "What Portcullis shows who it is with, to endpoints that ask."),
    Key::new(
        "names",
        Shape::List(&Shape::Text),
        "URIs (`\"spiffe://…\"`, with `*` for a whole segment of its path), DNS names and addresses, of which the \
         certificate must carry one, instead of the endpoint's host.",
    ),
    Key::new(
        "crls",
        Shape::List(&Shape::Path),
        "Revocation lists, PEM; with any, each certificate of a chain must be covered by one that has not expired.",
    ),
];

const CERTIFICATE: &[Key] = &[
    Key::new("chain", Shape::Path, "The certificate chain, PEM, end entity first.").required(),
    Key::new("key", Shape::Path, "The private key, PEM.").required(),
];

pub(super) fn read(tls: &Section<'_>) -> UpstreamTls {
    UpstreamTls {
        ca: tls.path("ca"),
        server_name: tls.parse("server_name", server_name),
        certificate: tls
            .table("certificate")
            .and_then(|files| Some(CertificateFiles { chain: files.path("chain")?, key: files.path("key")? })),
        names: tls.parse_list("names", certified_name),
        crls: tls.paths("crls"),
    }
}

fn server_name(text: &str) -> Result<Arc<str>, Fault> {
    match rustls_pki_types::ServerName::try_from(text) {
        Ok(_) => Ok(text.into()),
        Err(_) => Err(Fault::new(format!("`{text}` is no server name")).help("\"orders.internal\"")),
    }
}

/// A URI, a DNS name or an address.
fn certified_name(text: &str) -> Result<CertifiedName, Fault> {
    let wrong = |why: &str| {
        Fault::new(format!("`{text}` {why}"))
            .help("\"spiffe://prod/ns/shop/sa/orders\", \"spiffe://prod/ns/*/sa/orders\", \"orders.internal\" or \"10.0.0.7\"")
    };
    if rustls_pki_types::ServerName::try_from(text).is_ok() {
        return Ok(CertifiedName::Host(text.into()));
    }
    if !text.contains(':') || !text.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(wrong("is no name in a certificate"));
    }
    if !text.contains('*') {
        return Ok(CertifiedName::Uri(text.into()));
    }
    let path = text.strip_prefix("spiffe://").and_then(|rest| rest.split_once('/'));
    match path {
        Some((domain, path)) if !domain.is_empty() && !domain.contains('*') => {
            let whole = path.split('/').all(|segment| segment == "*" || !segment.contains('*'));
            if whole { Ok(CertifiedName::Uri(text.into())) } else { Err(wrong("has `*` for a part of a segment")) }
        }
        _ => Err(wrong("has `*` elsewhere than in the path of a SPIFFE ID")),
    }
}
