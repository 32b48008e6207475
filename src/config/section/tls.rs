//! `[listener.NAME.tls]`

use std::net::Ipv4Addr;

use super::pattern;
use crate::config::keys::{Given, Key, Shape};
use crate::config::reader::Section;
use crate::config::report::Fault;
use crate::model::settings::{CertificateFiles, ClientAuth, HostPattern, TlsHost, TlsSettings};

pub(in crate::config) const KEYS: &[Key] = &[
    Key::new(
        "certificates",
        Shape::List(&Shape::Table(CERTIFICATE)),
        "Certificate chains and keys; SNI chooses, the first serves clients that name none.",
    )
    .required(),
    Key::new("client_auth", Shape::Table(CLIENT_AUTH), "Client certificates; without it, none is asked for."),
    Key::new(
        "hosts",
        Shape::ByHost(&Shape::Table(HOST)),
        "What holds instead for clients that ask for these names (SNI): `\"orders.internal\"`, `\"*.internal\"`.",
    ),
    Key::new("tls12", Shape::Boolean, "Whether TLS 1.2 is spoken beside 1.3.").default(Given::Boolean(true)),
];

const CERTIFICATE: &[Key] = &[
    Key::new("chain", Shape::Path, "The certificate chain, PEM, end entity first.").required(),
    Key::new("key", Shape::Path, "The private key, PEM.").required(),
];

const HOST: &[Key] = &[Key::new("client_auth", Shape::Table(CLIENT_AUTH), "Client certificates.").required()];

const CLIENT_AUTH: &[Key] = &[
    Key::new("mode", Shape::Choice { now: &["off", "optional", "required"], later: &[] }, "Whether to ask for one.")
        .required(),
    Key::new("ca", Shape::Path, "The CA bundle that client certificates are verified against, PEM."),
    Key::new("crls", Shape::List(&Shape::Path), "Revocation lists, PEM.").default(Given::Texts(&[])),
];

pub(super) fn read(section: &Section<'_>) -> Option<TlsSettings> {
    section.not_empty("certificates", "certificates = [{ chain = \"server.pem\", key = \"server.key\" }]");
    let certificates = section.table_list("certificates");
    let certificates = certificates
        .iter()
        .filter_map(|files| Some(CertificateFiles { chain: files.path("chain")?, key: files.path("key")? }))
        .collect();
    let client_auth = section.table("client_auth").and_then(|auth| client_auth(&auth));
    Some(TlsSettings { certificates, client_auth, hosts: hosts(section), tls12: section.boolean("tls12") })
}

fn hosts(section: &Section<'_>) -> Vec<TlsHost> {
    let mut hosts: Vec<TlsHost> = Vec::new();
    let Some(map) = section.table("hosts") else { return hosts };
    if map.entries().next().is_none() {
        let fault = Fault::new(format!("`{}` is empty: it changes nothing", map.path));
        section.problem(
            "hosts",
            fault.help("hosts.\"orders.internal\".client_auth = { mode = \"required\", ca = \"ca.pem\" }"),
        );
    }
    for (name, host) in map.tables() {
        let report = section.context.report;
        let place = map.key_place(&name);
        let pattern = match pattern::host(&name) {
            Ok(HostPattern::Any) => Err(Fault::new("what holds for every name stands in `tls` itself")),
            Ok(HostPattern::Exact(name)) if name.starts_with('[') || name.parse::<Ipv4Addr>().is_ok() => {
                Err(Fault::new(format!("`{name}` is an address: no client asks for one by SNI")))
            }
            Ok(pattern) if hosts.iter().any(|known| known.host == pattern) => {
                Err(Fault::new(format!("`{name}` is another spelling of a name above")))
            }
            found => found,
        };
        let pattern = pattern.map_err(|fault| report.problem(place, fault));
        let auth = host.table("client_auth").map(|auth| client_auth(&auth));
        if let (Ok(host), Some(client_auth)) = (pattern, auth) {
            hosts.push(TlsHost { host, client_auth });
        }
    }
    hosts
}

fn client_auth(section: &Section<'_>) -> Option<ClientAuth> {
    let mode = section.text("mode")?;
    if mode == "off" {
        return None;
    }
    if !section.has("ca") {
        let fault = Fault::new(format!("`{}` lacks `ca`", section.path));
        section.problem("mode", fault.help("the CA bundle that client certificates are verified against"));
    }
    Some(ClientAuth { required: mode == "required", ca: section.path("ca")?, crls: section.paths("crls") })
}
