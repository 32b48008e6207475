//! The files of a demo: certificates, the keys of an issuer, and a configuration like any other.

use std::fs::OpenOptions;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::cli::failure::Failure;
use crate::crypto::Signer;
use crate::crypto::dev_certs::{DevCertificateError, DevCertificates};
use crate::model::Clock;

/// The `iss` of the demo's tokens; `.invalid` resolves nowhere.
pub(super) const ISSUER: &str = "https://issuer.invalid";
/// Their `aud`.
pub(super) const AUDIENCE: &str = "demo";

/// What was written, and the key of the issuer.
pub(super) struct Setup {
    pub(super) config: PathBuf,
    pub(super) ca: PathBuf,
    pub(super) issuer: Signer,
}

impl Setup {
    pub(super) fn write(directory: &Path, port: u16, upstream: SocketAddr, clock: &dyn Clock) -> Result<Self, Failure> {
        let certificate = |problem: DevCertificateError| Failure::failed(problem.to_string());
        let mut authority = DevCertificates::new(clock.now()).map_err(certificate)?;
        let server = authority.server(&["localhost", "127.0.0.1", "::1"]).map_err(certificate)?;
        let issuer = Signer::generate().map_err(|problem| Failure::failed(problem.to_string()))?;

        let file = |name: &str, text: &str| write(&directory.join(name), text);
        file("server.pem", &server.chain_pem)?;
        file("server.key", server.key_pem.expose())?;
        file("issuer.jwks.json", &issuer.jwks().to_string())?;
        let ca = file("ca.pem", &authority.ca_pem())?;
        let config = file("portcullis.toml", &configuration(port, upstream))?;
        Ok(Self { config, ca, issuer })
    }
}

fn write(path: &Path, text: &str) -> Result<PathBuf, Failure> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written.map_err(|problem| Failure::failed(format!("`{}`: {problem}", path.display())))?;
    Ok(path.to_owned())
}

fn configuration(port: u16, upstream: SocketAddr) -> String {
    format!(
        r#"# The configuration of `portcullis demo`. It is like any other; paths are relative to this file.

[listener.demo]
bind = "127.0.0.1:{port}"
tls = {{ certificates = [{{ chain = "server.pem", key = "server.key" }}] }}

[admin]
socket = "unix:admin.sock"          # `portcullis keys` and `portcullis sessions` speak to it

[store]
url = "memory:"                     # sessions, keys and revocations: in this process

[server]
shutdown_grace = "5s"

[issuer.demo]                       # who signs tokens; a real one has only `url` and `audiences`
url = "{ISSUER}"
audiences = ["{AUDIENCE}"]
keys = {{ jwks_file = "issuer.jwks.json" }}
claims = {{ roles = "roles" }}

[roles]
viewer = ["orders:read"]

[upstream.service]
endpoints = ["http://{upstream}"]

[defaults]
upstream = "service"
accept = ["jwt", "api_key", "session"]

[route.home]
match = "/"
accept = "anyone"

[route.orders]
match = "/orders"
[[route.orders.allow]]
permissions = ["orders:read"]       # by role, for keys and sessions
[[route.orders.allow]]
scopes = ["orders:read"]            # by scope, for tokens

[route.reports]
match = "/reports"
allow = [{{ scopes = ["reports:read"] }}]
"#
    )
}
