//! `https` endpoints.

use std::sync::atomic::{AtomicU64, Ordering};

use rcgen::{CertifiedKey, generate_simple_self_signed};
use rustls::server::{WantsServerCert, WebPkiClientVerifier};
use rustls::{ConfigBuilder, ServerConfig, WantsVerifier};
use rustls::{HandshakeKind, time_provider::TimeProvider};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, UnixTime};
use tokio_rustls::TlsAcceptor;

use super::super::connect::ConnectError;
use super::super::tls::{EndpointTls, client_config};
use super::super::verify::not_after;
use super::*;
use crate::model::denial::Reason;
use crate::model::settings::{CertificateFiles, CertifiedName};

/// An origin's certificate for this name, in a file to trust, and what it serves with.
pub(super) struct Served {
    pub(super) ca: tempfile::NamedTempFile,
    pub(super) acceptor: TlsAcceptor,
}

impl Served {
    pub(super) fn new(certified: &str, protocols: &[&str]) -> Self {
        Self::with(certified, protocols, |builder| builder.with_no_client_auth())
    }

    /// One that wants to know who asks.
    fn asking(certified: &str, roots: rustls::RootCertStore) -> Self {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
        Self::with(certified, &[], |builder| builder.with_client_cert_verifier(verifier))
    }

    fn with(
        certified: &str,
        protocols: &[&str],
        auth: impl FnOnce(ConfigBuilder<ServerConfig, WantsVerifier>) -> ConfigBuilder<ServerConfig, WantsServerCert>,
    ) -> Self {
        let CertifiedKey { cert, signing_key } = generate_simple_self_signed(vec![certified.to_owned()]).unwrap();
        let ca = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(ca.path(), cert.pem()).unwrap();
        let key = PrivatePkcs8KeyDer::from(signing_key.serialize_der());
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let mut config = auth(builder).with_single_cert(vec![cert.der().clone()], key.into()).unwrap();
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.as_bytes().to_vec()).collect();
        Self { ca, acceptor: TlsAcceptor::from(Arc::new(config)) }
    }

    /// When its certificate does, in seconds from the epoch.
    fn expires(&self) -> u64 {
        not_after(&CertificateDer::from_pem_file(self.ca.path()).unwrap()).unwrap()
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

#[tokio::test]
async fn an_endpoint_that_asks_who_we_are_is_shown_our_certificate() {
    for shown in [true, false] {
        on_one_thread(async {
            let ours = generate_simple_self_signed(vec!["client.test".to_owned()]).unwrap();
            let folder = tempfile::tempdir().unwrap();
            let (chain, key) = (folder.path().join("c.pem"), folder.path().join("c.key"));
            std::fs::write(&chain, ours.cert.pem()).unwrap();
            std::fs::write(&key, ours.signing_key.serialize_pem()).unwrap();
            let mut roots = rustls::RootCertStore::empty();
            roots.add(ours.cert.der().clone()).unwrap();
            let served = Served::asking("127.0.0.1", roots);
            let origin = Origin::new().await;
            let mut settings = served.settings(&origin);
            settings.tls.certificate = shown.then_some(CertificateFiles { chain, key });
            let request = forwarding(&upstream(settings), get());
            match served.acceptor.accept(origin.accept().await.0).await {
                Ok(stream) => {
                    assert!(shown);
                    assert_eq!(stream.get_ref().1.peer_certificates().unwrap(), [ours.cert.der().clone()]);
                    let mut wire = Wire(stream);
                    wire.head().await;
                    wire.say(OK).await;
                    assert_eq!(text(request.await.unwrap().unwrap()).await, "ok");
                }
                Err(_) => {
                    assert!(!shown);
                    request.await.unwrap().unwrap_err();
                }
            }
        })
        .await;
    }
}

#[tokio::test]
async fn with_names_the_certificate_must_carry_one_whatever_the_host_is() {
    for (names, good) in [(&["up.example", "other.example"][..], true), (&["127.0.0.1.example"], false)] {
        on_one_thread(async {
            let origin = Origin::new().await;
            let served = Served::new("up.example", &[]);
            let mut settings = served.settings(&origin);
            settings.tls.names = names.iter().map(|name| CertifiedName::Host(Arc::from(*name))).collect();
            let request = forwarding(&upstream(settings), get());
            if let Ok(stream) = served.acceptor.accept(origin.accept().await.0).await {
                let mut wire = Wire(stream);
                wire.head().await;
                wire.say(OK).await;
            }
            assert_eq!(request.await.unwrap().is_ok(), good, "{names:?}");
        })
        .await;
    }
}

#[tokio::test]
async fn what_a_recording_keeps_is_safe_from_computers_to_come() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let served = Served::new("127.0.0.1", &[]);
        let request = forwarding(&upstream(served.settings(&origin)), get());
        let stream = served.acceptor.accept(origin.accept().await.0).await.unwrap();
        let tls = stream.get_ref().1;
        assert_eq!(tls.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
        let group = tls.negotiated_key_exchange_group().map(|group| group.name());
        assert_eq!(group, Some(rustls::NamedGroup::X25519MLKEM768));
        request.abort();
    })
    .await;
}

#[tokio::test]
async fn a_connection_carries_no_request_once_its_certificate_has_expired() {
    on_one_thread(async {
        let origin = Origin::new().await;
        let served = Served::new("127.0.0.1", &[]);
        let upstream = upstream(served.settings(&origin));
        let pool = upstream.pools()[0].clone();
        let first = forwarding(&upstream, get());
        let mut wire = Wire(served.acceptor.accept(origin.accept().await.0).await.unwrap());
        wire.head().await;
        wire.say(OK).await;
        assert_eq!(text(first.await.unwrap().unwrap()).await, "ok");
        assert_eq!(pool.counts(), (1, 1), "kept");
        let slots = pool.slots();
        assert_eq!(slots.len(), 1);
        let left = slots[0].left().expect("an end").as_secs();
        let expected = served.expires() - UnixTime::now().as_secs();
        assert!(left.abs_diff(expected) < 3600, "{left} and not {expected}");
        slots[0].lasts(Duration::ZERO);
        drop(slots);
        let second = forwarding(&upstream, get());
        let mut other = Wire(served.acceptor.accept(origin.accept().await.0).await.unwrap());
        other.head().await;
        other.say(OK).await;
        assert_eq!(text(second.await.unwrap().unwrap()).await, "ok");
        wire.closed().await;
    })
    .await;
}

/// A clock that shows what it is set to.
#[derive(Debug)]
struct Shows(AtomicU64);

impl TimeProvider for Shows {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(self.0.load(Ordering::Relaxed))))
    }
}

#[tokio::test]
async fn a_session_that_is_resumed_counts_no_longer_than_the_certificate_it_began_with() {
    let (origin, served) = (Origin::new().await, Served::new("127.0.0.1", &[]));
    let (settings, end) = (served.settings(&origin), served.expires());
    let clock = Arc::new(Shows(AtomicU64::new(0)));
    let mut config = Arc::unwrap_or_clone(client_config(&settings.tls).unwrap());
    config.time_provider = clock.clone();
    let tls = EndpointTls::new(&Arc::new(config), &settings.endpoints[0], &settings.tls, settings.http).unwrap();
    for (at, kind, left) in [
        (end - 60, HandshakeKind::Full, Some(60)),
        (end - 20, HandshakeKind::Resumed, Some(20)),
        (end, HandshakeKind::Resumed, None),
    ] {
        clock.0.store(at, Ordering::Relaxed);
        let tcp = TcpStream::connect(origin.0.local_addr().unwrap()).await.unwrap();
        let accepted = async {
            let mut stream = served.acceptor.accept(origin.accept().await.0).await.unwrap();
            assert_eq!(stream.get_ref().1.handshake_kind(), Some(kind));
            // Who has refused is gone.
            let _ = stream.write_all(b"x").await;
        };
        let (connected, ()) = tokio::join!(tls.connect(tcp, true), accepted);
        match (connected, left) {
            (Ok((mut stream, lasts)), Some(left)) => {
                assert_eq!(lasts, Duration::from_secs(left));
                assert_eq!(stream.read_u8().await.unwrap(), b'x', "and tickets before it");
            }
            (Err(ConnectError::Expired), None) => {}
            (other, _) => panic!("{:?} at {at}", other.map(|(_, lasts)| lasts)),
        }
    }
}
