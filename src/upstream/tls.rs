//! TLS to `https` endpoints.

use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::ConnectError;
use crate::crypto::digest::sha256;
use crate::model::settings::{Endpoint, HttpVersion, UpstreamTls};

/// HTTP/2 in ALPN.
pub(super) const H2: &[u8] = b"h2";
/// HTTP/1.1 in ALPN.
const HTTP_11: &[u8] = b"http/1.1";

/// How to speak TLS with one endpoint.
pub(super) struct EndpointTls {
    config: Arc<ClientConfig>,
    http: HttpVersion,
    name: ServerName<'static>,
}

impl EndpointTls {
    pub(super) fn new(
        config: &Arc<ClientConfig>,
        endpoint: &Endpoint,
        settings: &UpstreamTls,
        http: HttpVersion,
    ) -> Result<Self, String> {
        let name = settings.server_name.as_ref().unwrap_or(&endpoint.host);
        let name = ServerName::try_from(name.to_string())
            .map_err(|_| format!("`{name}` cannot be the name in a certificate; set `tls.server_name`"))?;
        Ok(Self { config: config.clone(), http, name })
    }

    /// The handshake, in which is agreed what is spoken after it. `http1`: HTTP/2 will not do.
    pub(super) async fn connect(&self, tcp: TcpStream, http1: bool) -> Result<TlsStream<TcpStream>, ConnectError> {
        let offered: &[&[u8]] = match self.http {
            HttpVersion::Http1 => &[HTTP_11],
            HttpVersion::Auto if http1 => &[HTTP_11],
            HttpVersion::Auto => &[H2, HTTP_11],
            HttpVersion::Http2 => &[H2],
        };
        let alpn = offered.iter().map(|protocol| protocol.to_vec()).collect();
        let connector = TlsConnector::from(self.config.clone());
        let stream = connector.with_alpn(alpn).connect(self.name.clone(), tcp).await.map_err(ConnectError::Tls)?;
        match stream.get_ref().1.alpn_protocol() {
            // A server that knows no ALPN would take HTTP/2 for nonsense.
            None if self.http == HttpVersion::Http2 => Err(ConnectError::NotHttp2),
            _ => Ok(stream),
        }
    }
}

/// One configuration for all endpoints of an upstream: they trust the same certificates and share resumed sessions
/// (which rustls keeps apart by name).
pub(super) fn client_config(settings: &UpstreamTls) -> Result<Arc<ClientConfig>, String> {
    let roots = roots(settings)?;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// Of all that stands in the files that the settings name; what cannot be read counts as nothing.
pub(super) fn files_digest(settings: &UpstreamTls) -> [u8; 32] {
    let digest = |file| std::fs::read(file).map_or([0; 32], |content| sha256(&content));
    let files = settings.ca.iter();
    sha256(files.map(digest).collect::<Vec<_>>().as_flattened())
}

fn roots(settings: &UpstreamTls) -> Result<RootCertStore, String> {
    let mut roots = RootCertStore::empty();
    let Some(path) = &settings.ca else {
        let found = rustls_native_certs::load_native_certs();
        roots.add_parsable_certificates(found.certs);
        return if roots.is_empty() {
            Err("the system has no trusted certificates; install them (`ca-certificates`) or set `tls.ca`".to_owned())
        } else {
            Ok(roots)
        };
    };
    let unusable = |why: &dyn std::fmt::Display| format!("`{}`: {why}", path.display());
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unusable(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unusable(&error))?;
        roots.add(certificate).map_err(|error| unusable(&error))?;
    }
    // An empty bundle would trust nobody; that is a mistake to tell now rather than at each connection (f54).
    if roots.is_empty() { Err(unusable(&"no certificate in PEM form in it")) } else { Ok(roots) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_ca(contents: &str) -> Result<Arc<ClientConfig>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), contents).unwrap();
        client_config(&UpstreamTls { ca: Some(file.path().to_owned()), server_name: None })
    }

    #[test]
    fn f54_a_bundle_without_certificates_is_refused() {
        assert!(with_ca("").unwrap_err().contains("no certificate"));
        assert!(with_ca("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
        let missing = UpstreamTls { ca: Some("/nowhere/ca.pem".into()), server_name: None };
        assert!(client_config(&missing).unwrap_err().contains("/nowhere/ca.pem"));
    }

    #[test]
    fn a_bundle_of_certificates_is_taken() {
        let certificate = rcgen::generate_simple_self_signed(vec!["upstream.test".to_owned()]).unwrap();
        assert!(with_ca(&certificate.cert.pem()).is_ok());
    }
}
