use std::io::{Read, Write};
use std::sync::Arc;

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http2::{client, get, text};
use super::world::{AnyCertificate, World};
use super::{Server, rest, run, settings};
use crate::crypto::dev_certs::{DevCertificate, DevCertificates};
use crate::model::settings::{ClientAuth, TlsSettings};
use crate::model::{Clock, SystemClock, Timestamp};

pub(super) async fn connect(
    server: &Server,
    config: &Arc<ClientConfig>,
    name: &str,
) -> std::io::Result<TlsStream<TcpStream>> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::clone(config)).connect(name, server.connect().await).await
}

pub(super) const REQUEST: &[u8] = b"GET /tls HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";

/// One request; what came back, or that the connection was refused.
pub(super) async fn ask(server: &Server, config: &Arc<ClientConfig>, name: &str) -> Result<String, String> {
    let mut stream = connect(server, config, name).await.map_err(|error| error.to_string())?;
    // In TLS 1.3 a refused client certificate shows with the first read only.
    stream.write_all(REQUEST).await.map_err(|error| error.to_string())?;
    let mut all = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut all).await.map_err(|error| error.to_string())?;
    Ok(String::from_utf8(all).unwrap())
}

#[test]
fn alpn_chooses_the_version() {
    let mut world = World::new();
    run(settings(Some(world.tls())), |server| async move {
        let h2 = Arc::new(world.client(&[b"h2", b"http/1.1"], None));
        let stream = connect(&server, &h2, "localhost").await.unwrap();
        assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
        let (mut sender, _) = client(stream).await;
        let (status, body) = text(sender.send_request(get("https://localhost/x")).await.unwrap()).await;
        assert!(
            status == 200 && body.contains("HTTP/2.0") && body.contains("sni=localhost") && body.contains("tls=true")
        );

        for alpn in [&[&b"http/1.1"[..]][..], &[]] {
            let h1 = Arc::new(world.client(alpn, None));
            let text = ask(&server, &h1, "localhost").await.unwrap();
            assert!(text.contains("GET /tls HTTP/1.1") && text.contains("sni=localhost"), "{text}");
        }
        let other = Arc::new(world.client(&[b"spdy/3"], None));
        assert!(connect(&server, &other, "localhost").await.is_err());
    });
}

#[test]
fn both_versions_of_tls_are_spoken_unless_the_older_is_switched_off() {
    for tls12 in [true, false] {
        let mut world = World::new();
        let tls = TlsSettings { tls12, ..world.tls() };
        run(settings(Some(tls)), |server| async move {
            let modern = Arc::new(world.client(&[], None));
            let stream = connect(&server, &modern, "localhost").await.unwrap();
            assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
            let group = stream.get_ref().1.negotiated_key_exchange_group().unwrap().name();
            assert_eq!(group, rustls::NamedGroup::X25519MLKEM768);

            let mut roots = RootCertStore::empty();
            roots.add(CertificateDer::from_pem_slice(world.ca.ca_pem().as_bytes()).unwrap()).unwrap();
            let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
            let old = ClientConfig::builder_with_provider(provider)
                .with_protocol_versions(&[&rustls::version::TLS12])
                .unwrap()
                .with_root_certificates(roots)
                .with_no_client_auth();
            assert_eq!(ask(&server, &Arc::new(old), "localhost").await.is_ok(), tls12);
        });
    }
}

#[test]
fn sni_chooses_among_certificates() {
    let mut world = World::new();
    let certificates = vec![
        world.certificate("default", &["default.example", "a.wild.example.org"]),
        world.certificate("wild", &["*.wild.example"]),
        world.certificate("exact", &["Exact.wild.example"]),
    ];
    let chains: Vec<_> =
        certificates.iter().map(|files| CertificateDer::from_pem_file(&files.chain).unwrap()).collect();
    let tls = TlsSettings { certificates, client_auth: None, hosts: Vec::new(), tls12: true };
    run(settings(Some(tls)), |server| async move {
        // Which one is presented is asked apart from whether it is valid for the name.
        let mut config = world.client(&[], None);
        config.dangerous().set_certificate_verifier(Arc::new(AnyCertificate));
        let config = Arc::new(config);
        for (name, expected) in [
            ("default.example", 0),
            ("a.wild.example", 1),
            ("EXACT.wild.example", 2),
            ("a.b.wild.example", 0),
            ("wild.example", 0),
            ("unknown.example", 0),
            ("127.0.0.1", 0),
        ] {
            let stream = connect(&server, &config, name).await.unwrap();
            let presented = &stream.get_ref().1.peer_certificates().unwrap()[0];
            assert_eq!(presented, &chains[expected], "{name}");
        }
    });
}

/// Says hello a byte at a time, and in two records, so that no single one holds the whole of it.
pub(super) async fn hello_in_pieces(server: &Server, session: &mut rustls::ClientConnection) -> TcpStream {
    let mut hello = Vec::new();
    session.write_tls(&mut hello).unwrap();
    let mut stream = server.connect().await;
    stream.set_nodelay(true).unwrap();
    let (head, body) = hello.split_at(5);
    let (one, two) = body.split_at(40);
    let length = |part: &[u8]| u16::try_from(part.len()).unwrap().to_be_bytes();
    let records = [&head[..3], &length(one), one, &head[..3], &length(two), two].concat();
    for byte in records {
        stream.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    stream
}

#[test]
fn f51_a_client_hello_in_pieces_gets_the_certificate_of_its_name() {
    let mut world = World::new();
    let certificates = vec![world.certificate("default", &["default.example"]), world.certificate("b", &["b.example"])];
    let tls = TlsSettings { certificates, client_auth: None, hosts: Vec::new(), tls12: true };
    run(settings(Some(tls)), |server| async move {
        let config = Arc::new(world.client(&[], None));
        let mut session = rustls::ClientConnection::new(config, ServerName::try_from("b.example").unwrap()).unwrap();
        let mut stream = hello_in_pieces(&server, &mut session).await;
        while session.is_handshaking() {
            let mut bytes = vec![0; 4096];
            let read = tokio::io::AsyncReadExt::read(&mut stream, &mut bytes).await.unwrap();
            assert_ne!(read, 0);
            session.read_tls(&mut &bytes[..read]).unwrap();
            // Verifies that the certificate is for b.example.
            session.process_new_packets().unwrap();
        }
    });
}

#[test]
fn a_client_certificate_may_be_required_optional_or_not_asked_for() {
    for (required, presented, served, seen) in [
        (Some(true), false, false, ""),
        (Some(true), true, true, "cert=spiffe://dev/orders"),
        (Some(false), false, true, "cert=-"),
        (Some(false), true, true, "cert=spiffe://dev/orders"),
        (None, true, true, "cert=-"),
    ] {
        let mut world = World::new();
        let mut tls = world.tls();
        tls.client_auth = required.map(|required| world.client_auth(required));
        run(settings(Some(tls)), |server| async move {
            let certificate = world.ca.client("orders", &["spiffe://dev/orders"], &[]).unwrap();
            let config = Arc::new(world.client(&[], presented.then_some(&certificate)));
            let answer = ask(&server, &config, "localhost").await;
            assert_eq!(answer.is_ok(), served, "{required:?} {presented}: {answer:?}");
            assert!(!served || answer.unwrap().contains(seen), "{required:?} {presented}");
        });
    }
}

#[test]
fn a_certificate_of_another_ca_is_refused_also_where_none_is_required() {
    for required in [true, false] {
        let mut world = World::new();
        let tls = TlsSettings { client_auth: Some(world.client_auth(required)), ..world.tls() };
        run(settings(Some(tls)), |server| async move {
            let mut stranger = DevCertificates::new(SystemClock.now()).unwrap();
            let certificate = stranger.client("orders", &["spiffe://dev/orders"], &[]).unwrap();
            let config = Arc::new(world.client(&[], Some(&certificate)));
            assert!(ask(&server, &config, "localhost").await.is_err());
        });
    }
}

#[test]
fn f53_a_verified_certificate_with_control_characters_in_a_name_is_refused() {
    let mut world = World::new();
    let tls = TlsSettings { client_auth: Some(world.client_auth(false)), ..world.tls() };
    run(settings(Some(tls)), |server| async move {
        let san = rcgen::SanType::URI("spiffe://dev/orders\0.evil".try_into().unwrap());
        let certificate = world.ca.client_with("orders", vec![san]).unwrap();
        let config = Arc::new(world.client(&[], Some(&certificate)));
        let answer = ask(&server, &config, "localhost").await;
        assert!(!answer.is_ok_and(|text| text.contains("200 OK")));
    });
}

#[test]
fn a_revoked_certificate_is_refused_and_an_expired_list_refuses_all() {
    for (list_is_current, revoked, served) in [(true, false, true), (true, true, false), (false, false, false)] {
        let mut world = World::new();
        let mut tls = world.tls();
        let certificate = world.ca.client("orders", &["spiffe://dev/orders"], &[]).unwrap();
        let revoked: Vec<&DevCertificate> = revoked.then_some(&certificate).into_iter().collect();
        let list = if list_is_current {
            world.ca.revocation_list(&revoked).unwrap()
        } else {
            world.ca.revocation_list_of(Timestamp::from_secs(1_600_000_000), &revoked).unwrap()
        };
        let crls = vec![world.files.write("crl.pem", &list)];
        tls.client_auth = Some(ClientAuth { crls, ..world.client_auth(true) });
        run(settings(Some(tls)), |server| async move {
            let config = Arc::new(world.client(&[], Some(&certificate)));
            let answer = ask(&server, &config, "localhost").await;
            assert_eq!(answer.is_ok(), served, "{list_is_current}: {answer:?}");
        });
    }
}

#[test]
fn f50_a_session_resumes_with_its_own_configuration_and_with_no_other() {
    let mut world = World::new();
    let first = TlsSettings { client_auth: Some(world.client_auth(true)), ..world.tls() };
    let certificate = world.ca.client("orders", &["spiffe://dev/orders"], &[]).unwrap();
    let config = Arc::new(world.client(&[], Some(&certificate)));

    async fn kind(server: &Server, config: &Arc<ClientConfig>) -> Option<rustls::HandshakeKind> {
        let mut stream = connect(server, config, "localhost").await.ok()?;
        stream.write_all(REQUEST).await.ok()?;
        let mut all = Vec::new();
        // Reading to the end also takes in the tickets.
        tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut all).await.ok()?;
        stream.get_ref().1.handshake_kind()
    }
    run(settings(Some(first.clone())), |server| {
        let config = Arc::clone(&config);
        async move {
            assert_eq!(kind(&server, &config).await, Some(rustls::HandshakeKind::Full));
            assert_eq!(kind(&server, &config).await, Some(rustls::HandshakeKind::Resumed));
        }
    });
    // The same files: another configuration all the same.
    run(settings(Some(first.clone())), |server| {
        let config = Arc::clone(&config);
        async move { assert_eq!(kind(&server, &config).await, Some(rustls::HandshakeKind::Full)) }
    });
    // Another CA: the session of before opens nothing.
    let other = DevCertificates::new(SystemClock.now()).unwrap();
    let ca = world.files.write("other.pem", &other.ca_pem());
    let swapped = TlsSettings { client_auth: Some(ClientAuth { required: true, ca, crls: Vec::new() }), ..first };
    run(settings(Some(swapped)), |server| async move { assert_eq!(kind(&server, &config).await, None) });
}

#[test]
fn f55_nothing_is_taken_before_the_handshake_ends() {
    let mut world = World::new();
    run(settings(Some(world.tls())), |server| async move {
        let mut config = world.client(&[], None);
        config.enable_early_data = true;
        let config = Arc::new(config);
        ask(&server, &config, "localhost").await.unwrap();
        // A session to resume exists now; a server that takes early data would say so in it.
        let mut session = rustls::ClientConnection::new(config, ServerName::try_from("localhost").unwrap()).unwrap();
        assert!(session.early_data().is_none());
        let mut stream = std::net::TcpStream::connect(server.address).unwrap();
        let asking = tokio::task::spawn_blocking(move || {
            while session.is_handshaking() {
                session.complete_io(&mut stream).unwrap();
            }
            assert_eq!(session.handshake_kind(), Some(rustls::HandshakeKind::Resumed));
            assert!(!session.is_early_data_accepted());
            session.writer().write_all(REQUEST).unwrap();
            let mut text = String::new();
            let _ = rustls::Stream::new(&mut session, &mut stream).read_to_string(&mut text);
            text
        });
        assert!(asking.await.unwrap().contains("200 OK"));
    });
}

#[test]
fn f61_a_handshake_that_stalls_is_not_waited_for() {
    let mut world = World::new();
    let mut settings = settings(Some(world.tls()));
    settings.limits.handshake_timeout = std::time::Duration::from_millis(30);
    run(settings, |server| async move {
        for begun in ["", "\x16", "\x16\x03\x01\x02\x00\x01"] {
            let mut stream = server.connect().await;
            stream.write_all(begun.as_bytes()).await.unwrap();
            // That it comes to an end is the assertion.
            assert_eq!(rest(&mut stream).await, "", "{begun:?}");
        }
    });
}
