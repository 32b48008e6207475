//! `https` endpoints.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::model::denial::Reason;

/// An origin's certificate for this name, in a file to trust, and what it serves with.
pub(super) struct Served {
    pub(super) ca: tempfile::NamedTempFile,
    pub(super) acceptor: TlsAcceptor,
}

impl Served {
    pub(super) fn new(certified: &str, protocols: &[&str]) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec![certified.to_owned()]).unwrap();
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), cert.pem()).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Self { ca, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    pub(super) fn settings(&self, origin: &Origin) -> UpstreamSettings {
        let mut settings = settings(vec![Endpoint { scheme: Scheme::Https, ..origin.endpoint() }]);
        settings.tls.ca = Some(self.ca.path().to_owned());
        settings
    }
}

async fn through_tls(certified: &str, server_name: Option<&str>, trusted: bool) -> Result<String, Denial> {
    on_one_thread(async {
        let served = Served::new(certified, &["http/1.1"]);
        let other = Served::new(certified, &[]);
        let origin = Origin::new().await;
        let mut settings = if trusted { served.settings(&origin) } else { other.settings(&origin) };
        settings.tls.server_name = server_name.map(Arc::from);
        let request = forwarding(&upstream(settings), get());
        if let Ok(stream) = served.acceptor.accept(origin.accept().await.0).await {
            let mut wire = Wire(stream);
            wire.head().await;
            wire.say(OK).await;
        }
        Ok(text(request.await.unwrap()?).await)
    })
    .await
}

#[tokio::test]
async fn a_trusted_certificate_for_the_endpoints_name_is_needed() {
    assert_eq!(through_tls("127.0.0.1", None, true).await.unwrap(), "ok");
    assert_eq!(through_tls("up.example", Some("up.example"), true).await.unwrap(), "ok");
    for (certified, name, trusted) in
        [("127.0.0.1", None, false), ("up.example", None, true), ("up.example", Some("other.example"), true)]
    {
        let denial = through_tls(certified, name, trusted).await.unwrap_err();
        assert_eq!(denial.reason, Reason::UpstreamUnreachable);
        assert!(denial.detail.unwrap().contains("TLS"), "{certified} {name:?} {trusted}");
    }
}

#[test]
fn a_name_that_no_certificate_can_have_is_refused_at_start() {
    let certificate = generate_simple_self_signed(vec!["a".to_owned()]).unwrap();
    let ca = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(ca.path(), certificate.cert.pem()).unwrap();
    let endpoint = Endpoint { scheme: Scheme::Https, host: "a_b c".into(), port: 443, weight: 1 };
    let mut settings = settings(vec![endpoint]);
    settings.tls.ca = Some(ca.path().to_owned());
    let error = super::super::Upstreams::new(&[Arc::new(settings)], &Conditions::new(&[])).err().unwrap().to_string();
    assert!(error.starts_with("upstream.up: ") && error.contains("server_name"), "{error}");
}
