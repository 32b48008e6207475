//! TLS to `https` endpoints.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rustls::client::WantsClientCert;
use rustls::crypto::aws_lc_rs;
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::connect::ConnectError;
use super::verify::{Trust, not_after, verifier};
use crate::crypto::digest::sha256;
use crate::model::settings::{CertificateFiles, Endpoint, HttpVersion, UpstreamTls};

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

    /// The handshake, in which is agreed what is spoken after it, and for how long the endpoint's certificate will count.
    /// `http1`: HTTP/2 will not do.
    pub(super) async fn connect(
        &self,
        tcp: TcpStream,
        http1: bool,
    ) -> Result<(TlsStream<TcpStream>, Duration), ConnectError> {
        let offered: &[&[u8]] = match self.http {
            HttpVersion::Http1 => &[HTTP_11],
            HttpVersion::Auto if http1 => &[HTTP_11],
            HttpVersion::Auto => &[H2, HTTP_11],
            HttpVersion::Http2 => &[H2],
        };
        let alpn = offered.iter().map(|protocol| protocol.to_vec()).collect();
        let connector = TlsConnector::from(self.config.clone());
        let stream = connector.with_alpn(alpn).connect(self.name.clone(), tcp).await.map_err(ConnectError::Tls)?;
        let tls = stream.get_ref().1;
        // A session that is resumed brings the certificate along that it began with, and nobody has looked at it again.
        let until = tls.peer_certificates().and_then(<[_]>::first).and_then(|certificate| not_after(certificate));
        let now = self.config.time_provider.current_time().map_or(u64::MAX, |now| now.as_secs());
        let left = until.unwrap_or(0).saturating_sub(now);
        if left == 0 {
            return Err(ConnectError::Expired);
        }
        match tls.alpn_protocol() {
            // A server that knows no ALPN would take HTTP/2 for nonsense.
            None if self.http == HttpVersion::Http2 => Err(ConnectError::NotHttp2),
            _ => Ok((stream, Duration::from_secs(left))),
        }
    }
}

/// One configuration for all endpoints of an upstream: they trust the same certificates and share resumed sessions
/// (which rustls keeps apart by name).
pub(super) fn client_config(settings: &UpstreamTls) -> Result<Arc<ClientConfig>, String> {
    let trust = Trust { roots: Arc::new(roots(settings)?), revoked: revoked(settings)? };
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = verifier(&trust, &settings.names, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match &settings.certificate {
        None => builder.with_no_client_auth(),
        Some(files) => own_certificate(builder, files)?,
    };
    Ok(Arc::new(config))
}

/// Of all that stands in the files that the settings name; what cannot be read counts as nothing.
pub(super) fn files_digest(settings: &UpstreamTls) -> [u8; 32] {
    let digest = |file| std::fs::read(file).map_or([0; 32], |content| sha256(&content));
    let own = settings.certificate.iter().flat_map(|files| [&files.chain, &files.key]);
    let files = settings.ca.iter().chain(&settings.crls).chain(own);
    sha256(files.map(digest).collect::<Vec<_>>().as_flattened())
}

/// A chain or a key that cannot be used is a mistake to tell now rather than at each connection (f54).
fn own_certificate(
    builder: ConfigBuilder<ClientConfig, WantsClientCert>,
    files: &CertificateFiles,
) -> Result<ClientConfig, String> {
    let unusable = |path: &Path, why: &dyn std::fmt::Display| format!("`{}`: {why}", path.display());
    let chain: Vec<_> = CertificateDer::pem_file_iter(&files.chain)
        .and_then(Iterator::collect)
        .map_err(|error| unusable(&files.chain, &error))?;
    if chain.is_empty() {
        return Err(unusable(&files.chain, &"no certificate in PEM form in it"));
    }
    // What is wrong with a key is said without a byte of it.
    let key =
        PrivateKeyDer::from_pem_file(&files.key).map_err(|_| unusable(&files.key, &"no private key in PEM form"))?;
    builder.with_client_auth_cert(chain, key).map_err(|error| {
        format!("`{}` and `{}` cannot be used together: {error}", files.chain.display(), files.key.display())
    })
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

/// A list that cannot be read would revoke nobody.
fn revoked(settings: &UpstreamTls) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let mut all = Vec::new();
    for path in &settings.crls {
        let unusable = |why: &dyn std::fmt::Display| format!("`{}`: {why}", path.display());
        let lists = CertificateRevocationListDer::pem_file_iter(path).map_err(|error| unusable(&error))?;
        let before = all.len();
        for list in lists {
            all.push(list.map_err(|error| unusable(&error))?);
        }
        if all.len() == before {
            return Err(unusable(&"no revocation list in PEM form in it"));
        }
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with_ca(contents: &str) -> Result<Arc<ClientConfig>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), contents).unwrap();
        client_config(&UpstreamTls { ca: Some(file.path().to_owned()), ..UpstreamTls::default() })
    }

    #[test]
    fn f54_a_bundle_without_certificates_is_refused() {
        assert!(with_ca("").unwrap_err().contains("no certificate"));
        assert!(with_ca("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").is_err());
        let missing = UpstreamTls { ca: Some("/nowhere/ca.pem".into()), ..UpstreamTls::default() };
        assert!(client_config(&missing).unwrap_err().contains("/nowhere/ca.pem"));
    }

    #[test]
    fn f54_a_certificate_of_our_own_that_cannot_be_used_is_refused() {
        let made = || rcgen::generate_simple_self_signed(vec!["client.test".to_owned()]).unwrap();
        let (one, other) = (made(), made());
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, contents: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, contents).unwrap();
            path
        };
        let ca = file("ca.pem", &one.cert.pem());
        let with = |chain: &std::path::Path, key: &std::path::Path| {
            let certificate = Some(CertificateFiles { chain: chain.to_owned(), key: key.to_owned() });
            client_config(&UpstreamTls { ca: Some(ca.clone()), certificate, ..UpstreamTls::default() }).map(drop)
        };
        let (chain, key) = (file("c.pem", &one.cert.pem()), file("c.key", &one.signing_key.serialize_pem()));
        assert_eq!(with(&chain, &key), Ok(()));
        let others = file("o.key", &other.signing_key.serialize_pem());
        let (empty, broken) =
            (file("empty", ""), file("b", "-----BEGIN PRIVATE KEY-----\nsecret\n-----END PRIVATE KEY-----\n"));
        let nowhere = folder.path().join("nowhere");
        for (chain, key) in [
            (&chain, &others),
            (&chain, &empty),
            (&chain, &broken),
            (&chain, &nowhere),
            (&empty, &key),
            (&nowhere, &key),
        ] {
            let why = with(chain, key).unwrap_err();
            assert!(why.contains(folder.path().to_str().unwrap()) && !why.contains("secret"), "{why}");
        }
    }

    #[test]
    fn f54_a_revocation_list_that_cannot_be_read_is_refused() {
        let ca = tempfile::NamedTempFile::new().unwrap();
        let certificate = rcgen::generate_simple_self_signed(vec!["upstream.test".to_owned()]).unwrap();
        std::fs::write(ca.path(), certificate.cert.pem()).unwrap();
        let broken = "-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n";
        for contents in [Some(""), Some(&*certificate.cert.pem()), Some(broken), None] {
            let list = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(list.path(), contents.unwrap_or_default()).unwrap();
            let path = if contents.is_some() { list.path().to_owned() } else { "/nowhere/crl.pem".into() };
            let settings = UpstreamTls { ca: Some(ca.path().to_owned()), crls: vec![path], ..UpstreamTls::default() };
            assert!(client_config(&settings).is_err(), "{contents:?}");
        }
    }

    #[test]
    fn a_bundle_of_certificates_is_taken() {
        let certificate = rcgen::generate_simple_self_signed(vec!["upstream.test".to_owned()]).unwrap();
        assert!(with_ca(&certificate.cert.pem()).is_ok());
    }
}
