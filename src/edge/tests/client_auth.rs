//! Client certificates by the name that is asked for, and by the time that passes.

use std::io::ErrorKind;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue, Tls13ClientSessionValue,
};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, HandshakeKind, NamedGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::tls::{REQUEST, ask, connect, hello_in_pieces};
use super::world::{AnyCertificate, World};
use super::{Server, rest, run, run_by, settings, until};
use crate::crypto::dev_certs::{DevCertificate, DevCertificates};
use crate::model::settings::{ClientAuth, HostPattern, TlsHost, TlsSettings};
use crate::model::{Clock, SystemClock, Timestamp};

/// A world with a second CA, whose certificates `*.other.example` wants; `strict.example` wants one of the first,
/// `open.example` none, and all others may show one of the first.
struct Names {
    world: World,
    other: DevCertificates,
    tls: TlsSettings,
}

const HOSTS: [&str; 6] =
    ["localhost", "open.example", "strict.example", "a.other.example", "b.other.example", "plain.example"];

impl Names {
    fn new() -> Self {
        let mut world = World::new();
        let other = DevCertificates::new(SystemClock.now()).unwrap();
        let certificates = vec![world.certificate("main", &HOSTS)];
        let others = ClientAuth { required: true, ca: world.files.write("others.pem", &other.ca_pem()), crls: vec![] };
        let hosts = [
            (HostPattern::Exact("open.example".into()), None),
            (HostPattern::Exact("strict.example".into()), Some(world.client_auth(true))),
            (HostPattern::Suffix("other.example".into()), Some(others)),
        ];
        let hosts = hosts.into_iter().map(|(host, client_auth)| TlsHost { host, client_auth }).collect();
        let tls = TlsSettings { certificates, client_auth: Some(world.client_auth(false)), hosts, tls12: true };
        Self { world, other, tls }
    }

    fn client(&self, certificate: Option<&DevCertificate>) -> Arc<ClientConfig> {
        Arc::new(self.world.client(&[], certificate))
    }
}

#[test]
fn each_name_asks_for_certificates_of_its_own() {
    let mut names = Names::new();
    let first = names.world.ca.client("one", &["spiffe://dev/first"], &[]).unwrap();
    let second = names.other.client("two", &["spiffe://dev/second"], &[]).unwrap();
    run(settings(Some(names.tls.clone())), |server| async move {
        let (none, first, second) = (names.client(None), names.client(Some(&first)), names.client(Some(&second)));
        for (name, of_none, of_first, of_second) in [
            ("localhost", Some("-"), Some("spiffe://dev/first"), None),
            ("plain.example", Some("-"), Some("spiffe://dev/first"), None),
            ("open.example", Some("-"), Some("-"), Some("-")),
            ("OPEN.example", Some("-"), Some("-"), Some("-")),
            ("strict.example", None, Some("spiffe://dev/first"), None),
            ("Strict.Example", None, Some("spiffe://dev/first"), None),
            ("a.other.example", None, None, Some("spiffe://dev/second")),
        ] {
            for (client, expected) in [(&none, of_none), (&first, of_first), (&second, of_second)] {
                let answer = ask(&server, client, name).await.ok();
                let seen = answer.as_ref().and_then(|text| text.split("cert=").nth(1)?.split(' ').next());
                assert_eq!(seen, expected, "{name}: {answer:?}");
            }
        }
    });
}

#[test]
fn f51_a_client_hello_in_pieces_is_asked_for_the_certificate_of_its_name() {
    let names = Names::new();
    run(settings(Some(names.tls.clone())), |server| async move {
        for (name, served) in [("plain.example", true), ("strict.example", false)] {
            let name_of = ServerName::try_from(name).unwrap();
            let mut session = rustls::ClientConnection::new(names.client(None), name_of).unwrap();
            let mut stream = hello_in_pieces(&server, &mut session).await;
            session.writer().buffer_request();
            let mut text = Vec::new();
            loop {
                let mut bytes = Vec::new();
                if session.wants_write() {
                    session.write_tls(&mut bytes).unwrap();
                    stream.write_all(&bytes).await.unwrap();
                }
                let mut read = vec![0; 4096];
                let length = stream.read(&mut read).await.unwrap_or(0);
                session.read_tls(&mut &read[..length]).unwrap();
                if session.process_new_packets().is_err() || length == 0 {
                    break;
                }
                let _ = std::io::Read::read_to_end(&mut session.reader(), &mut text);
            }
            let text = String::from_utf8(text).unwrap();
            assert_eq!(text.contains("200 OK"), served, "{name}: {text}");
        }
    });
}

trait Buffer {
    fn buffer_request(&mut self);
}

impl Buffer for rustls::Writer<'_> {
    fn buffer_request(&mut self) {
        std::io::Write::write_all(self, REQUEST).unwrap();
    }
}

/// What a client that does not care remembers sessions in: one name's serve for every other.
#[derive(Debug)]
struct Careless(ClientSessionMemoryCache);

fn same() -> ServerName<'static> {
    ServerName::try_from("same.example").unwrap()
}

impl ClientSessionStore for Careless {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(same(), group);
    }
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&same())
    }
    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(same(), value);
    }
    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&same())
    }
    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&same());
    }
    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(same(), value);
    }
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&same())
    }
}

/// How the handshake of one request went; `None` where there was no answer.
async fn kind(server: &Server, config: &Arc<ClientConfig>, name: &str) -> Option<HandshakeKind> {
    let mut stream = connect(server, config, name).await.ok()?;
    stream.write_all(REQUEST).await.ok()?;
    let mut all = Vec::new();
    // Reading to the end also takes in the tickets.
    stream.read_to_end(&mut all).await.ok()?;
    (!all.is_empty()).then(|| stream.get_ref().1.handshake_kind())?
}

#[test]
fn f50_a_session_of_one_name_opens_no_other() {
    for version in [&rustls::version::TLS13, &rustls::version::TLS12] {
        let mut names = Names::new();
        let first = names.world.ca.client("one", &["spiffe://dev/first"], &[]).unwrap();
        run(settings(Some(names.tls.clone())), |server| async move {
            let careless = || {
                let mut config = names.world.client_of(&[version], Some(&first));
                config.resumption = Resumption::store(Arc::new(Careless(ClientSessionMemoryCache::new(16))));
                // The chain is not verified again when a session is resumed, so this asks for more than TLS does.
                config.dangerous().set_certificate_verifier(Arc::new(AnyCertificate));
                Arc::new(config)
            };
            let client = careless();
            assert_eq!(kind(&server, &client, "plain.example").await, Some(HandshakeKind::Full));
            assert_eq!(kind(&server, &client, "plain.example").await, Some(HandshakeKind::Resumed));
            for (from, to, expected) in [
                // Another name of the same terms, of others, of another CA, and of none.
                ("plain.example", "localhost", Some(HandshakeKind::Full)),
                ("plain.example", "strict.example", Some(HandshakeKind::Full)),
                ("open.example", "strict.example", Some(HandshakeKind::Full)),
                ("strict.example", "a.other.example", None),
                ("open.example", "a.other.example", None),
                ("strict.example", "open.example", Some(HandshakeKind::Full)),
            ] {
                let client = careless();
                assert_eq!(kind(&server, &client, from).await, Some(HandshakeKind::Full), "{from}");
                assert_eq!(kind(&server, &client, to).await, expected, "{from} -> {to}");
            }
        });
    }
}

/// A clock that is set by hand.
struct Hand(AtomicU64);

impl Hand {
    fn new() -> Arc<Self> {
        Arc::new(Self(AtomicU64::new(SystemClock.now().0)))
    }

    fn advance(&self, by: Duration) {
        self.0.fetch_add(u64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp(self.0.load(Ordering::SeqCst))
    }
}

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const KEPT_OPEN: &[u8] = b"GET /open HTTP/1.1\r\nHost: a\r\n\r\n";

#[test]
fn a_revocation_list_that_ends_refuses_the_new_the_resumed_and_the_open() {
    let clock = Hand::new();
    let mut world = World::new();
    let certificate = world.ca.client("orders", &["spiffe://dev/orders"], &[]).unwrap();
    // Lists hold for 90 days: this one for another hour.
    let made = clock.now().before(90 * DAY).after(Duration::from_secs(3600));
    let list = world.ca.revocation_list_of(made, &[]).unwrap();
    let crls = vec![world.files.write("crl.pem", &list)];
    let tls = TlsSettings { client_auth: Some(ClientAuth { crls, ..world.client_auth(false) }), ..world.tls() };
    run_by(clock.clone(), settings(Some(tls)), |server| async move {
        let config = Arc::new(world.client(&[], Some(&certificate)));
        let anonymous = Arc::new(world.client(&[], None));
        assert_eq!(kind(&server, &config, "localhost").await, Some(HandshakeKind::Full));
        assert_eq!(kind(&server, &config, "localhost").await, Some(HandshakeKind::Resumed));
        let mut open = connect(&server, &config, "localhost").await.unwrap();
        let mut nobodys = connect(&server, &anonymous, "localhost").await.unwrap();
        for stream in [&mut open, &mut nobodys] {
            stream.write_all(KEPT_OPEN).await.unwrap();
            until(stream, "\n").await;
        }
        let listener = &server.listeners[0];
        clock.advance(Duration::from_secs(3500));
        listener.look_again();
        open.write_all(KEPT_OPEN).await.unwrap();
        until(&mut open, "tls=true\n").await;

        clock.advance(Duration::from_secs(200));
        assert_eq!(kind(&server, &config, "localhost").await, None, "resumed or not");
        let fresh = Arc::new(world.client(&[], Some(&certificate)));
        assert_eq!(kind(&server, &fresh, "localhost").await, None);
        listener.look_again();
        assert!(ended(&mut open).await, "nobody can say any more that it is not revoked");
        nobodys.write_all(KEPT_OPEN).await.unwrap();
        until(&mut nobodys, "tls=true\n").await;
    });
}

async fn ended(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> bool {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest).await {
        Ok(_) => rest.is_empty(),
        // Cut without a word.
        Err(error) => matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset),
    }
}

#[test]
fn a_certificate_that_ends_takes_its_connections_along() {
    let clock = Hand::new();
    let mut world = World::new();
    let certificate = world.ca.client("orders", &["spiffe://dev/orders"], &[]).unwrap();
    let tls = TlsSettings { client_auth: Some(world.client_auth(true)), ..world.tls() };
    run_by(clock.clone(), settings(Some(tls)), |server| async move {
        let config = Arc::new(world.client(&[], Some(&certificate)));
        assert_eq!(kind(&server, &config, "localhost").await, Some(HandshakeKind::Full));
        let mut open = connect(&server, &config, "localhost").await.unwrap();
        open.write_all(KEPT_OPEN).await.unwrap();
        until(&mut open, "tls=true\n").await;
        clock.advance(89 * DAY);
        server.listeners[0].look_again();
        open.write_all(KEPT_OPEN).await.unwrap();
        until(&mut open, "tls=true\n").await;
        clock.advance(DAY);
        assert_eq!(kind(&server, &config, "localhost").await, None, "the session ends with it");
        server.listeners[0].look_again();
        assert!(ended(&mut open).await);
    });
}

#[test]
fn f54_a_ca_bundle_of_one_name_that_is_none_refuses_to_open() {
    let names = Names::new();
    for (name, content) in [("empty.pem", ""), ("text.pem", "hello"), ("absent.pem", "")] {
        let mut tls = names.tls.clone();
        let file = names.world.files.write(name, content);
        if name == "absent.pem" {
            std::fs::remove_file(&file).unwrap();
        }
        tls.hosts[2].client_auth.as_mut().unwrap().ca = file;
        let error = super::open(settings(Some(tls))).unwrap_err().to_string();
        assert!(error.starts_with("listener.main: ") && error.contains(name), "{error}");
    }
}

#[test]
fn f61_a_client_that_never_says_its_name_is_not_waited_for() {
    let names = Names::new();
    let mut settings = settings(Some(names.tls));
    settings.limits.handshake_timeout = Duration::from_millis(30);
    run(settings, |server| async move {
        for begun in ["", "\x16", "\x16\x03\x01\x02\x00\x01"] {
            let mut stream = server.connect().await;
            stream.write_all(begun.as_bytes()).await.unwrap();
            // That it comes to an end is the assertion.
            assert_eq!(rest(&mut stream).await, "", "{begun:?}");
        }
    });
}
