//! `https` endpoints.

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::ServerConfig;
use rustls_pki_types::PrivatePkcs8KeyDer;
use tokio_rustls::TlsAcceptor;

use super::*;
use crate::model::denial::Reason;

async fn through_tls(certified: &str, server_name: Option<&str>, trusted: bool) -> Result<String, Denial> {
    on_one_thread(async {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec![certified.to_owned()]).unwrap();
        let other = generate_simple_self_signed(vec![certified.to_owned()]).unwrap();
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), if trusted { cert.pem() } else { other.cert.pem() }).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![cert.der().clone()], key.into())
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];

        let origin = Origin::new().await;
        let mut settings = settings(vec![Endpoint { scheme: Scheme::Https, ..origin.endpoint() }]);
        settings.tls = UpstreamTls { ca: Some(ca.path().to_owned()), server_name: server_name.map(Arc::from) };
        let request = forwarding(&upstream(settings), get());
        let tcp = origin.accept().await.0;
        if let Ok(stream) = TlsAcceptor::from(Arc::new(config)).accept(tcp).await {
            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
            let mut wire = Wire(stream);
            wire.head().await;
            wire.say(OK).await;
            return Ok(text(request.await.unwrap()?).await);
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
    let error = super::super::Upstreams::new(&[Arc::new(settings)], &Conditions::default()).err().unwrap().to_string();
    assert!(error.starts_with("upstream.up: ") && error.contains("server_name"), "{error}");
}
