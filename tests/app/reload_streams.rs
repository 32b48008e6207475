//! What goes on for long while the configuration is replaced: streams, TLS sessions, connections with client certificates.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, HandshakeKind, RootCertStore, StreamOwned};
use serde_json::json;

use super::reload::World;
use crate::harness::certificates::Authority;
use crate::harness::http::Wire;
use crate::harness::streams::Streams;
use crate::harness::upstream::Upstream;

const EVENT: &str = "data: hi\n\n";

fn streaming(streams: &Streams, more: &str) -> String {
    format!(
        "listener.main.bind = \"127.0.0.1:0\"\n[issuer.main]\nurl = \"https://id.example.com\"\naudiences = [\"orders\"]\n\
         keys.jwks_file = \"jwks.json\"\n[route.app]\nmatch = \"/silent/{{*rest}}\"\naccept = \"jwt\"\nupstream = \"{}\"\n{more}",
        streams.url()
    )
}

#[test]
fn a_stream_of_before_goes_on_and_a_revocation_ends_it_all_the_same() {
    let streams = Streams::start();
    let world = World::start(&streaming(&streams, ""));
    let open = |subject: &str| {
        let token = world.token(json!({"sub": subject, "jti": subject}));
        let mut client = Wire::connect(world.address("main"));
        client.write(format!("GET /silent/{subject} HTTP/1.1\r\nHost: a.example\r\n{token}\r\n"));
        client.read_until(EVENT);
        client
    };
    let (mut alice, mut bob) = (open("alice"), open("bob"));
    // The route that they came by accepts something else now, and another that is nobody's business is gone.
    let other = "[route.other]\nmatch = \"/other\"\naccept = \"anyone\"\nupstream = \"http://127.0.0.1:1\"\n";
    world.reload(&streaming(&streams, other));
    world.reload(&streaming(&streams, "").replace("\"jwt\"", "\"api_key\""));
    counted(&world, 2);

    let socket = world.running.admin_socket().unwrap().to_owned();
    let body = json!({"kind": "token_id", "issuer": "main", "id": "alice"}).to_string();
    let mut admin = Wire::over(std::os::unix::net::UnixStream::connect(socket).unwrap());
    let head = "Host: localhost\r\nContent-Type: application/json\r\nConnection: close\r\n";
    let answer =
        admin.exchange(format!("POST /v1/revocations HTTP/1.1\r\n{head}Content-Length: {}\r\n\r\n{body}", body.len()));
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(alice.is_closed());
    assert!(streams.wait_for_end("/silent/alice").body.is_empty());
    // The other one is still watched over, by what was in force when it began.
    counted(&world, 1);
    drop(world);
    assert!(bob.is_closed());
}

/// Waits until that many streams are counted: a worker counts them when it next looks at them.
fn counted(world: &World, streams: u32) {
    let (line, deadline) = (format!("portcullis_live_streams {streams}\n"), Instant::now() + Duration::from_secs(20));
    while !world.metrics().contains(&line) {
        assert!(Instant::now() < deadline, "{}", world.metrics());
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn tls(more: &str, upstream: &Upstream) -> String {
    format!(
        "[listener.main]\nbind = \"127.0.0.1:0\"\n\
         tls = {{ certificates = [{{ chain = \"server.pem\", key = \"server.key\" }}]{more} }}\n\
         [[mtls]]\nmatch = {{ uri = \"spiffe://example.org/{{name}}\" }}\nsubject = \"{{name}}\"\n\
         [route.open]\nmatch = \"/a\"\naccept = \"anyone\"\nupstream = \"{}\"\n",
        upstream.url()
    )
}

fn client(folder: &std::path::Path, ca: &str, certificate: Option<&str>) -> Arc<ClientConfig> {
    let at = |name: &str| folder.join(name);
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(at(ca)).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let builder = builder.with_root_certificates(roots);
    Arc::new(match certificate {
        None => builder.with_no_client_auth(),
        Some(name) => {
            let chain = CertificateDer::pem_file_iter(at(&format!("{name}.pem"))).unwrap();
            let key = PrivateKeyDer::from_pem_file(at(&format!("{name}.key"))).unwrap();
            builder.with_client_auth_cert(chain.map(Result::unwrap).collect(), key).unwrap()
        }
    })
}

type Tls = StreamOwned<ClientConnection, TcpStream>;

fn connect(world: &World, config: &Arc<ClientConfig>) -> Tls {
    let stream = TcpStream::connect(world.address("main")).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let session = ClientConnection::new(config.clone(), ServerName::try_from("localhost").unwrap()).unwrap();
    StreamOwned::new(session, stream)
}

/// Asks once on a connection of its own: how the handshake went, and the certificate of the server; `None` where it failed.
fn ask(world: &World, config: &Arc<ClientConfig>) -> Option<(HandshakeKind, CertificateDer<'static>)> {
    let mut stream = connect(world, config);
    stream.write_all(b"GET /a HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut text = String::new();
    // Reading to the end also takes in the tickets.
    let _ = stream.read_to_string(&mut text);
    if !text.starts_with("HTTP/1.1 200 ") {
        return None;
    }
    Some((stream.conn.handshake_kind()?, stream.conn.peer_certificates()?[0].clone().into_owned()))
}

#[test]
fn f50_sessions_resume_as_long_as_the_certificates_stay_and_no_longer() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let mut authority = Authority::new(folder.path());
    authority.server("server", &["localhost"]);
    let (here, text) = (folder.path().to_owned(), tls("", &upstream));
    let world = World::start_in(folder, &text);
    let config = client(&here, "ca.pem", None);
    let (first, certificate) = ask(&world, &config).unwrap();
    assert_eq!(first, HandshakeKind::Full);
    world.reload(&tls("", &upstream).replace("/a", "/{*rest}"));
    assert_eq!(ask(&world, &config).unwrap().0, HandshakeKind::Resumed, "nothing of TLS has changed");

    authority.server("server", &["localhost"]);
    world.reload(&text);
    let (kind, renewed) = ask(&world, &config).unwrap();
    assert_eq!(kind, HandshakeKind::Full);
    assert_ne!(renewed, certificate, "the next handshake has the new certificate");

    // A key that does not belong to it: the one before stays.
    std::fs::write(here.join("server.pem"), "no certificate").unwrap();
    world.refuses(&text, &["listener.main", "server.pem"]);
    assert_eq!(ask(&world, &config).unwrap().1, renewed);
}

#[test]
fn f50_whoever_came_by_another_ca_is_cut_off_and_cannot_resume() {
    let upstream = Upstream::start();
    let folder = tempfile::tempdir().unwrap();
    let mut authority = Authority::new(folder.path());
    authority.server("server", &["localhost"]);
    let mut clients = Authority::named(folder.path(), "clients");
    clients.client("one", "spiffe://example.org/one");
    Authority::named(folder.path(), "others");
    let here = folder.path().to_owned();
    let asked = |mode: &str| tls(&format!(", client_auth = {{ mode = \"{mode}\", ca = \"clients.pem\" }}"), &upstream);
    let text = asked("optional").replace("\"anyone\"", "\"mtls\"");
    let world = World::start_in(folder, &text);
    let config = client(&here, "ca.pem", Some("one"));
    assert_eq!(ask(&world, &config).unwrap().0, HandshakeKind::Full);
    assert_eq!(ask(&world, &config).unwrap().0, HandshakeKind::Resumed);
    let mut open = Wire::over(connect(&world, &config));
    let get = "GET /a HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_eq!(open.exchange(get).status, 200);
    let mut anonymous = Wire::over(connect(&world, &client(&here, "ca.pem", None)));
    assert_eq!(anonymous.exchange(get).status, 401);

    // As before but for a route: nobody is disturbed.
    world.reload(&text.replace("/a", "/{*rest}"));
    assert_eq!(open.exchange(get).status, 200);

    std::fs::copy(here.join("others.pem"), here.join("clients.pem")).unwrap();
    world.reload(&text);
    assert!(open.is_closed());
    assert_eq!(anonymous.exchange(get).status, 401, "who has shown no certificate goes on");
    assert!(ask(&world, &config).is_none(), "neither its certificate nor its session counts");

    world.reload(&asked("required").replace("\"anyone\"", "\"mtls\""));
    assert!(anonymous.try_exchange(get).is_none_or(|answer| answer.value("connection") == Some("close")));
    assert!(anonymous.is_closed());
}
